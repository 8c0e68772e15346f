import { posix } from "node:path";
import { isSafePath, toText } from "../paths.ts";
import { realPathOrSelf } from "../project/home-folders.ts";
import type { ProjectStore } from "../project/project-store.ts";
import type { TreeEntry } from "../project/tree-entries.ts";
import { jobObjectsEnv } from "../sandbox/fetch-changes.ts";
import { readFound } from "../walk-folder.ts";
import { autoLoadedBy } from "./auto-loaded-files.ts";
import { hookPaths } from "./git-hooks.ts";
import { isPackage, MAX_PACKAGE_BYTES, MAX_PACKAGES, TOO_MANY_PACKAGES, whatInstalls } from "./install-scripts.ts";

/** A file that something obeys without being asked. */
export interface AutoLoadedFile {
  readonly path: string;
  /** Who obeys, in words, after its name. */
  readonly who: string;
}

interface Change {
  readonly store: ProjectStore;
  readonly jobID: string;
  readonly before: ReadonlyMap<string, TreeEntry>;
  readonly after: ReadonlyMap<string, TreeEntry>;
  readonly changed: readonly string[];
}

const LINK = "120000";
/** Links that are looked at, and followed on the way of one. */
const MAX_LINKS = 200;
const MAX_STEPS = 20;

/** Which of a job's changes are obeyed without being asked, once they are in the project. */
export async function findAutoLoadedChanges(change: Change): Promise<readonly AutoLoadedFile[]> {
  const { store, jobID, before, after, changed } = change;
  const brought = changed.filter((path) => after.has(path));
  const links = await obeyedLinks(change);
  const obeyed: AutoLoadedFile[] = [];
  const hooks = (await hookPaths(store)).map((place) => place.toLowerCase());
  const packages = brought.filter(isPackage);
  for (const path of brought) {
    const who =
      autoLoadedBy(path) ??
      autoLoadedByLink(links, path) ??
      (isHook(toText(path).toLowerCase()) ? "git runs hooks from its folder" : null) ??
      (await installs(path));
    if (who !== null) obeyed.push({ path, who });
  }
  return obeyed;

  /** A file on the way to a place is a link: it says where the hooks lie. */
  function isHook(path: string): boolean {
    return hooks.some((place) => isIn(path, place) || isIn(place, path));
  }

  async function installs(path: string): Promise<string | null> {
    const n = packages.indexOf(path);
    if (n < 0) return null;
    if (n >= MAX_PACKAGES) return TOO_MANY_PACKAGES;
    const read = (entry: TreeEntry | undefined) => (entry ? readBlob(store, jobID, entry.oid) : null);
    return whatInstalls(await read(before.get(path)), await read(after.get(path)));
  }
}

const isIn = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** A link that is obeyed, and where it leads: what lies there is obeyed as if it lay here. */
interface ObeyedLink {
  readonly path: string;
  readonly to: string;
}

async function obeyedLinks(change: Change): Promise<readonly ObeyedLink[]> {
  const links = [...change.after].filter(([path, { mode }]) => mode === LINK && autoLoadedBy(path) !== null);
  const read = linkReader(change);
  const found: ObeyedLink[] = [];
  for (const [path] of links.slice(0, MAX_LINKS)) {
    const to = await follow(path, change.after, read);
    if (to !== null && to !== path) found.push({ path, to });
  }
  return found;
}

/** Where a path leads by the links of a tree, those on its way too; null = out of it, or nowhere. */
async function follow(path: string, tree: Change["after"], read: (oid: string) => Promise<string>) {
  let rest = path.split("/");
  let done: string[] = [];
  for (let links = 0; rest.length > 0; ) {
    const [part = "", ...more] = rest;
    const here = [...done, part].join("/");
    const entry = tree.get(here);
    if (entry?.mode === LINK) {
      const target = await read(entry.oid);
      const to = posix.join(posix.dirname(here), target, ...more).replace(/\/$/, "");
      if (++links > MAX_STEPS || target.startsWith("/") || !isSafePath(to)) return null;
      [done, rest] = [[], to.split("/")];
    } else [done, rest] = [[...done, part], more];
  }
  return done.join("/");
}

function linkReader({ store, jobID }: Change) {
  const known = new Map<string, Promise<string>>();
  return (oid: string): Promise<string> => {
    const target = known.get(oid) ?? readBlob(store, jobID, oid).then((bytes) => bytes?.toString("latin1") ?? "/");
    known.set(oid, target);
    return target;
  };
}

function autoLoadedByLink(links: readonly ObeyedLink[], path: string): string | null {
  const link = links.find(({ to }) => isIn(path, to));
  return link ? autoLoadedBy(link.path + path.slice(link.to.length)) : null;
}

/**
 * Which of these files, copied to a folder of the user's, are obeyed without being asked.
 * @param folder absolute
 */
export async function findAutoLoadedFiles(
  folder: string,
  paths: readonly string[],
): Promise<readonly AutoLoadedFile[]> {
  const root = await realPathOrSelf(folder);
  const packages = paths.filter(isPackage);
  const obeyed: AutoLoadedFile[] = [];
  for (const path of paths) {
    const who = autoLoadedBy(path) ?? (await installs(path));
    if (who !== null) obeyed.push({ path, who });
  }
  return obeyed;

  async function installs(path: string): Promise<string | null> {
    const n = packages.indexOf(path);
    if (n < 0) return null;
    if (n >= MAX_PACKAGES) return TOO_MANY_PACKAGES;
    const content = await readFound(root, path, MAX_PACKAGE_BYTES);
    return whatInstalls(null, typeof content === "string" ? null : content);
  }
}

const readBlob = (store: ProjectStore, jobID: string, oid: string): Promise<Buffer | null> =>
  store
    .run(["cat-file", "blob", oid], {
      env: jobObjectsEnv(store, jobID),
      isUntrusted: true,
      maxBytes: MAX_PACKAGE_BYTES,
    })
    .catch(() => null);
