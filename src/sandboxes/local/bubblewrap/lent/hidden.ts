import { basename, join } from "node:path";
import { entries, isFolder } from "./look.ts";
import { isCredential } from "./private-places.ts";

/** Levels looked through below what is lent, and names looked at: it is done for every sandbox. */
const DEEPEST = 6;
const MOST = 20_000;
/** What package managers fill: many packages, none of them the user's. What lies beside these is looked at. */
const FILLED = /^(?:node_modules|site-packages|dist-packages|python\d.*|rustlib|Cellar|toolchains|store|perl5|ruby)$/;

/**
 * What bears a name for credentials in a folder that is lent: somebody may work even in an installation. Links do not
 * count: what they lead to is lent for itself, or is not there.
 */
export function credentialsIn(folder: string): readonly string[] {
  const found: string[] = [];
  let looked = 0;
  const walk = (path: string, depth: number) => {
    const isFilled = FILLED.test(basename(path));
    for (const entry of entries(path)) {
      looked += 1;
      if (looked > MOST) return;
      const below = join(path, entry.name);
      if (entry.isSymbolicLink()) continue;
      if (isCredential(entry.name)) found.push(below);
      else if (entry.isDirectory() && depth < DEEPEST && (!isFilled || FILLED.test(entry.name))) walk(below, depth + 1);
    }
  };
  if (isFolder(folder)) walk(folder, 1);
  return found;
}
