import { expiryText } from "../core/snapshot-expiry.ts";
import type { SnapshotRecord } from "../core/snapshot-record.ts";
import { oneLine } from "../shared/plain-text.ts";
import type { JobView, SnapshotView } from "../views/job-view.ts";
import { cut, renderJobLine, renderPortNote, renderQuoteNote, runsApart } from "./job-list.ts";

/*
 * Lists of any number of jobs. OpenCode cuts an answer off at 51,200 bytes, so the jobs that matter most have a line each
 * and the others are counted.
 */

/** Bytes of the lines, and of the ids of the jobs without a line. */
const LINES_LIMIT = 16_000;
const IDS_LIMIT = 5_000;
/** Most jobs that get a line of their own, and most among them that have ended without an error. */
const LINES = 100;
const ENDED_LINES = 20;
/** Bytes that each of them gets at least. */
const LINE_MIN = 300;

const SEE_MORE = '(agents_status with "jobs" shows them.)';

/** A line per job, in the order given: first for those under way, then for failed ones, then for others; the rest are counted. */
export function renderOverview(jobs: readonly JobView[], bytes = LINES_LIMIT): string[] {
  const lines = new Map<JobView, string>();
  const each = Math.max(LINE_MIN, bytes / Math.min(jobs.length, LINES));
  const apart = runsApart(jobs);
  let left = bytes;
  let ended = 0;
  for (const job of [...jobs].sort((a, b) => rank(a) - rank(b))) {
    if (lines.size >= LINES) break;
    if (rank(job) === LEAST && jobs.length > LINES && ended >= ENDED_LINES) break;
    const { shown, missing } = cut(renderJobLine(job, apart), each, 1);
    const line = missing === 0 ? shown : `${shown}…`;
    const size = Buffer.byteLength(line) + 1;
    if (size > left && lines.size > 0) continue;
    left -= size;
    lines.set(job, line);
    if (rank(job) === LEAST) ended++;
  }
  const rest = jobs.filter((job) => !lines.has(job));
  return [
    ...jobs.flatMap((job) => lines.get(job) ?? []),
    ...renderCounted(rest),
    ...(rest.length > 0 ? [SEE_MORE] : []),
    ...renderQuoteNote([...lines.keys()]),
    ...renderPortNote([...lines.keys()]),
  ];
}

/** Jobs under way before queued ones, and those before ended ones; in each the newest first. @param jobs in order of creation */
export const newestFirst = (jobs: readonly JobView[]): JobView[] =>
  [...jobs]
    .reverse()
    .sort((a, b) => Number(isEnded(a)) - Number(isEnded(b)) || Number(isQueued(a)) - Number(isQueued(b)));

const isEnded = ({ endedAt }: JobView): boolean => endedAt !== undefined;
const isQueued = ({ state }: JobView): boolean => state === "queued";

const LEAST = 3;

function rank(job: JobView): number {
  if (job.state === "failed") return 2;
  return isEnded(job) ? LEAST : Number(isQueued(job));
}

/** "312 more completed: job_1, job_2", a line per state. */
export function renderCounted(jobs: readonly JobView[]): string[] {
  return [...new Set(jobs.map(({ state }) => state))].map((state) => {
    const those = jobs.filter((job) => job.state === state);
    return `${those.length} more ${state}: ${joinIDs(those, (IDS_LIMIT * those.length) / jobs.length)}`;
  });
}

/** Ids as far as there is room. */
function joinIDs(jobs: readonly Pick<JobView, "id">[], bytes: number): string {
  let used = 0;
  const shown = jobs.filter(({ id }) => {
    used += id.length + 2;
    return used <= bytes;
  });
  const left = jobs.length - shown.length;
  return `${shown.map(({ id }) => id).join(", ")}${left > 0 ? ` and ${left} others` : ""}`;
}

const SNAPSHOTS = 30;
/** Characters of the names of the others. */
const OLDER_LIMIT = 1_500;

/** The newest snapshots, the oldest of them first. @param count how many there are, of which these are the newest */
export function renderSnapshots(snapshots: readonly SnapshotView[], count: number, now: number): string[] {
  const names = snapshots.slice(0, -SNAPSHOTS).map(({ id, label }) => label ?? id);
  const older = count - Math.min(snapshots.length, SNAPSHOTS);
  const expiry = ({ expiresAt }: SnapshotView) => {
    const text = expiryText(expiresAt === undefined ? null : Date.parse(expiresAt), now);
    return text === null ? "" : `, ${text}: a job that starts from it renews it`;
  };
  return [
    ...(older > 0 ? [`${older} older snapshots: ${oneLine(names.join(", "), OLDER_LIMIT)}`] : []),
    ...snapshots
      .slice(-SNAPSHOTS)
      .map((one) => `snapshot ${one.id}${one.label ? ` "${one.label}"` : ""} of ${one.job}${expiry(one)}`),
  ];
}

/** Which parked jobs lose their files soon. */
export function renderParkedExpiry(parked: readonly SnapshotRecord[], now: number): string[] {
  const near = parked.flatMap(({ jobID, expiresAt }) => {
    const text = expiryText(expiresAt, now);
    return text === null ? [] : [`what ${jobID} was parked with ${text}`];
  });
  const named = oneLine(near.join("; "), OLDER_LIMIT);
  return near.length === 0
    ? []
    : [`${named}. A job that starts from one keeps its files for longer, and so does agents_message to an agent.`];
}
