import type { JobView } from "../../views/job-view.ts";
import type { Entry, Listing } from "./entry.ts";
import { isShown } from "./filter.ts";
import { treeOf } from "./forest.ts";
import { rank } from "./ranking.ts";
import { byUrgency } from "./urgency.ts";

/** The rows of the list, those that are not on the screen too. */
export function entriesOf(jobs: readonly JobView[], listing: Listing): readonly Entry[] {
  const shown = jobs.filter((job) => isShown(job, listing));
  if (listing.order === "tree") return treeOf(shown, listing.folded);
  if (listing.order === "rank") return rank(shown, jobs, listing.metric, listing.direction);
  return byUrgency(shown, listing);
}
