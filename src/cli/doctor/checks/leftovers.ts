import { nameList } from "../../../shared/plain-text.ts";
import { type Finding, ok, RUN_GC, warning } from "../finding.ts";
import type { Leftovers } from "../leftovers.ts";

/** @param found null = there is no state, or it is written all the time */
export function judgeLeftovers(found: Leftovers | null): Finding[] {
  const name = "leftover-sandboxes";
  if (found === null) return [ok(name, "No state from which sandboxes could be left.")];
  const { ended, parked, failures } = found;
  const broken = failures.map((failure) => warning(name, failure, RUN_GC));
  if (ended.length + parked.length === 0)
    return broken.length > 0 ? broken : [ok(name, "No sandbox is there that no job needs.")];
  const many = (ids: readonly string[], one: string, more: string) =>
    ids.length === 0 ? [] : [`${ids.length === 1 ? one : `${ids.length} ${more}`} (${nameList(ids, 5)})`];
  const all = [
    ...many(ended, "one sandbox that no job needs any more", "sandboxes that no job needs any more"),
    ...many(
      parked,
      "one sandbox of a finished job, which is not frozen yet",
      "sandboxes of finished jobs, which are not frozen yet",
    ),
  ];
  const meaning = `There is ${all.join(", and ")}. OpenCode ends them when it runs; until then they take up disk, or money on Modal.`;
  return [...broken, warning(name, meaning, RUN_GC)];
}
