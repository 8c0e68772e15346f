import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { entries } from "./look.ts";
import { within } from "./private-places.ts";

/** What stands for a folder that is lent without some of it. */
export interface Around {
  /** Host paths to bind at the same places; none of them holds anything that is left out. */
  readonly binds: readonly string[];
  /** Links in folders that are put together from their entries. */
  readonly links: readonly { readonly at: string; readonly to: string }[];
  /** Folders that would take too many mounts: nothing of them is lent. */
  readonly tooLarge: readonly string[];
}

/** Entries of one folder that are lent one by one: each costs a mount of its own. */
const MOST_ENTRIES = 400;

/**
 * Lends folders without what lies in them at `hidden`. H4: nothing is covered up, because the kernel takes a mount away
 * when what it covers is replaced on the host (a token that is refreshed is written beside the old one and renamed over
 * it). A folder on the way to something hidden is made anew inside, of what else was in it.
 */
export function lendAround(binds: readonly string[], hidden: readonly string[]): Around {
  const kept: string[] = [];
  const links: { at: string; to: string }[] = [];
  const tooLarge: string[] = [];
  const lend = (path: string) => {
    const below = hidden.filter((each) => within(each, path));
    if (below.includes(path)) return;
    if (below.length === 0) {
      kept.push(path);
      return;
    }
    const all = entries(path);
    if (all.length > MOST_ENTRIES) {
      tooLarge.push(path);
      return;
    }
    for (const entry of all) {
      const at = join(path, entry.name);
      if (entry.isSymbolicLink()) links.push({ at, to: readlinkSync(at) });
      else lend(at);
    }
  };
  for (const path of binds) lend(path);
  return { binds: kept, links, tooLarge };
}
