import { basename, join } from "node:path";
import { entries, isFolder } from "./host-files.ts";
import { isCredential } from "./private-places.ts";

/** Limits of the search, which runs for every sandbox: levels below the lent folder, and names examined. */
const MAX_DEPTH = 6;
const MAX_NAMES = 20_000;
/** Folders that package managers fill. They hold many packages and none of the user's files, so packages are not searched. */
const PACKAGE_FOLDER =
  /^(?:node_modules|site-packages|dist-packages|python\d.*|rustlib|Cellar|toolchains|store|perl5|ruby)$/;

/**
 * Paths in a lent folder whose names stand for credentials: a user may keep files even in an installation. Links are
 * skipped, because their targets are either lent and searched themselves or not visible inside.
 */
export function credentialsIn(folder: string): readonly string[] {
  const found: string[] = [];
  let looked = 0;
  const walk = (path: string, depth: number) => {
    const isPackageFolder = PACKAGE_FOLDER.test(basename(path));
    for (const entry of entries(path)) {
      looked += 1;
      if (looked > MAX_NAMES) return;
      const below = join(path, entry.name);
      if (entry.isSymbolicLink()) continue;
      if (isCredential(entry.name)) found.push(below);
      else if (entry.isDirectory() && depth < MAX_DEPTH && (!isPackageFolder || PACKAGE_FOLDER.test(entry.name)))
        walk(below, depth + 1);
    }
  };
  if (isFolder(folder)) walk(folder, 1);
  return found;
}
