import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { lstatOrNull } from "../../shared/missing-file.ts";
import type { TreeReader } from "./tree-reader.ts";

/** Places kept of a sparse checkout. More would make the record of every job long; a branch of such a job may replace a file. */
const MAX_PLACES = 1_000;

/**
 * The outermost files and folders that are missing because a sparse checkout leaves them out.
 * @param paths tracked files that are missing for that reason
 */
export async function sparsePlaces(reader: TreeReader, paths: readonly string[]): Promise<readonly string[]> {
  const known = new PromiseCache<string, boolean>();
  const isMissing = (folder: string) =>
    known.getOrMake(folder, async () => (await lstatOrNull(reader.absolute(folder))) === null);
  const places = new Set<string>();
  for (const path of paths) {
    let place = path;
    for (let slash = path.indexOf("/"); slash >= 0 && place === path; slash = path.indexOf("/", slash + 1))
      if (await isMissing(path.slice(0, slash))) place = path.slice(0, slash);
    places.add(place);
  }
  return [...places].sort().slice(0, MAX_PLACES);
}
