import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { isWithin } from "../../../../config/host-paths.ts";
import { entries } from "./host-files.ts";

/** What to mount for paths that are lent without the hidden paths below them. */
export interface VisiblePaths {
  /** Host paths to bind at the same paths inside; none of them contains a hidden path. */
  readonly binds: readonly string[];
  /** Links to make in folders that are rebuilt from their entries. */
  readonly links: readonly { readonly at: string; readonly to: string }[];
  /** Folders that are not lent at all, because rebuilding them would take too many mounts. */
  readonly tooLarge: readonly string[];
}

/** Limit on the entries of a folder that is rebuilt, links apart: each costs a mount of its own. */
const MAX_ENTRIES = 400;
/** Files for people. Of a rebuilt folder they are left out: no program needs them, and each would cost every sandbox a mount. */
const FOR_PEOPLE =
  /^(?:\.git(?:hub|ignore|attributes)|\.travis\.yml|(?:readme|licen[cs]e|copying|changelog|changes|authors|contributing|maintenance)(?:\..*)?)$/i;

/**
 * Leaves the hidden paths out of what is lent. H4: nothing is covered by a mount, because the kernel removes a mount when
 * the file it covers is replaced on the host (a refreshed token is written beside the old one and renamed over it).
 * Instead, every folder on the way to a hidden path is rebuilt inside from its other entries.
 */
export function excludeHidden(binds: readonly string[], hidden: readonly string[]): VisiblePaths {
  const visible: string[] = [];
  const links: { at: string; to: string }[] = [];
  const tooLarge: string[] = [];
  const lend = (path: string) => {
    const below = hidden.filter((each) => isWithin(each, path));
    if (below.includes(path)) return;
    if (below.length === 0) {
      visible.push(path);
      return;
    }
    const all = entries(path);
    if (all.filter((entry) => !entry.isSymbolicLink()).length > MAX_ENTRIES) {
      tooLarge.push(path);
      return;
    }
    for (const entry of all) {
      if (FOR_PEOPLE.test(entry.name)) continue;
      const at = join(path, entry.name);
      if (entry.isSymbolicLink()) links.push({ at, to: readlinkSync(at) });
      else lend(at);
    }
  };
  for (const path of binds) if (!hidden.some((each) => isWithin(path, each))) lend(path);
  return { binds: visible, links, tooLarge };
}
