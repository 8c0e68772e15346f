import { accessSync, constants, lstatSync } from "node:fs";
import { basename, join } from "node:path";
import type { Clock } from "../../../../shared/clock.ts";
import { entriesOrNull, isFolder, statOf } from "./host-files.ts";
import { isCredential } from "./private-places.ts";

/** What is not lent of a folder. A folder that could not be searched might hold credentials. */
export interface Withheld {
  readonly credentials: readonly string[];
  readonly unsearched: readonly string[];
}

interface Listing {
  readonly changedAt: number;
  readonly count: number;
  readonly credentials: readonly string[];
  /** Names of the folders to search next. */
  readonly folders: readonly string[];
}

/** Limits of one search. Large installations have tens of thousands of names outside packages. */
const MAX_DEPTH = 64;
const MAX_NAMES = 100_000;
/** Longer than the steps in which file systems note times: a folder may change again within one. */
const STEP_MS = 1_000;
/** Folders that package managers fill. They hold many packages and none of the user's files, so packages are not searched. */
const PACKAGE_FOLDER =
  /^(?:node_modules|site-packages|dist-packages|python\d[\d.]*t?|rustlib|Cellar|toolchains|perl5|ruby)$/;
/** Only the package manager writes there, and everybody may read all of it. */
const PACKAGE_STORE = /^\/(?:nix|gnu)\/store$/;

/**
 * Makes a search for paths in a lent folder whose names stand for credentials: a user may keep files even in an installation.
 * Links are skipped, because their targets are either lent and searched themselves or not visible inside. It runs for every
 * sandbox, so it reads again only the folders that have changed: any entry that comes or goes changes its folder's time.
 */
export function createCredentialSearch(clock: Pick<Clock, "now">, maxNames = MAX_NAMES): (folder: string) => Withheld {
  const known = new Map<string, Listing>();
  const list = (path: string): Listing | null => {
    const changedAt = statOf(path)?.ctimeMs ?? 0;
    const former = known.get(path);
    if (former?.changedAt === changedAt) return former;
    const listing = read(path, changedAt);
    if (listing !== null && changedAt < clock.now() - STEP_MS) known.set(path, listing);
    else known.delete(path);
    return listing;
  };
  return (folder) => {
    const credentials: string[] = [];
    const unsearched: string[] = [];
    let looked = 0;
    const walk = (path: string, depth: number) => {
      const listing = looked < maxNames && depth <= MAX_DEPTH ? list(path) : null;
      if (listing === null) {
        if (mayEnter(path)) unsearched.push(path);
        return;
      }
      looked += listing.count;
      credentials.push(...listing.credentials.map((name) => join(path, name)));
      for (const name of listing.folders) walk(join(path, name), depth + 1);
    };
    if (isFolder(folder) && !PACKAGE_STORE.test(folder)) walk(folder, 1);
    return { credentials, unsearched };
  };
}

function read(path: string, changedAt: number): Listing | null {
  const entries = entriesOrNull(path);
  if (entries === null) return null;
  const isPackageFolder = PACKAGE_FOLDER.test(basename(path));
  const credentials: string[] = [];
  const folders: string[] = [];
  for (const entry of entries) {
    const { name } = entry;
    if (entry.isSymbolicLink()) continue;
    if (isCredential(name)) credentials.push(name);
    else if (isPackageFolder && !PACKAGE_FOLDER.test(name)) continue;
    // Some file systems do not say what an entry is.
    else if (entry.isDirectory() || (!entry.isFile() && isRealFolder(join(path, name)))) folders.push(name);
  }
  return { changedAt, count: entries.length, credentials, folders };
}

const isRealFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** A folder that may be entered but not listed shows its files to whoever knows their names. */
function mayEnter(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
