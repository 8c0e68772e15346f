import type { ProviderName } from "../config/provider-names.ts";
import { isHeld, type Job } from "./job.ts";
import { insteadOfExpired } from "./snapshot-expiry.ts";
import type { Label, SnapshotRecord } from "./snapshot-record.ts";
import type { TaskSource } from "./task-source.ts";
import { withoutSandbox } from "./without-sandbox.ts";

/** What a task starts from. */
export interface StartingPoint {
  /** A snapshot by its id; null = none, or not yet. */
  readonly snapshotID: string | null;
  readonly source: TaskSource | null;
  /** The job whose files these are; null = none. */
  readonly parent: string | null;
}

export type StartDecision =
  | { readonly kind: "starts"; readonly from: StartingPoint }
  | { readonly kind: "refused"; readonly why: string };

/** The id of a job, of whichever session. */
const JOB = /^job_[0-9a-z]+$/;
const IMAGE = /^im-[0-9A-Za-z]+$/;
/** Both of Modal's backends, and this machine's sandboxes. */
const SANDBOX = /^(?:sb-[0-9A-Za-z_-]+|sbx_[0-9A-Za-z_-]+|[0-9A-HJKMNP-TV-Z]{26})$/;

export interface SourceContext {
  readonly provider: ProviderName;
  readonly findJob: (id: string) => Job | null;
  /** The newest snapshot of the job's whole file system. */
  readonly newestOf: (job: Job) => SnapshotRecord | null;
  readonly findSnapshot: (name: string) => SnapshotRecord | null;
  /** Finds a label whose snapshot is gone. */
  readonly lostLabel: (name: string) => Label | null;
  /** The job of this session that has this sandbox, or was parked with its files since; null = none. */
  readonly ownerOf: (sandboxID: string) => string | null;
  /** Whether an image is a snapshot that is recorded here: one that this session cannot use, as those it can are found before. */
  readonly isSnapshot: (imageID: string) => boolean;
  /** Whether a job's agent asks: it names the job's own files only, no machines of the user's. */
  readonly isOfJob?: boolean;
}

/** What a task's `from` names. A job's id comes before a label of the same name, which any job may have given. */
export function decideStart(from: string | undefined, context: SourceContext): StartDecision {
  if (from === undefined) return { kind: "starts", from: NOWHERE };
  const job = context.findJob(from);
  if (job) return fromJob(job, context);
  const snapshot = context.findSnapshot(from);
  if (snapshot) return fromSnapshot(snapshot, from, context);
  const lost = context.lostLabel(from);
  if (lost) {
    const job = context.findJob(lost.jobID);
    const isRun = job !== null && job.task.run !== null;
    const remedy =
      isRun && fromJob(job, context).kind === "starts"
        ? `Its newest files are kept: start from "${lost.jobID}".`
        : insteadOfExpired(lost.jobID, isRun);
    return refused(
      `from "${from}" is the label of ${lost.snapshotID} of ${lost.jobID}, which has expired or was removed. ${remedy}`,
    );
  }
  return fromSource(from, context);
}

const NOWHERE: StartingPoint = { snapshotID: null, source: null, parent: null };

const refused = (why: string): StartDecision => ({ kind: "refused", why });

function fromJob(job: Job, context: SourceContext): StartDecision {
  const { id, sandbox, state } = job;
  const elsewhere = elsewhereProblem(`from "${id}" names a job`, job.provider, context.provider);
  if (elsewhere !== null) return refused(elsewhere);
  // A job that goes on after the loss of its sandbox has a live one again, or its last files, when they are frozen.
  if (sandbox.kind === "live" || (sandbox.kind === "gone" && isHeld(state)))
    return { kind: "starts", from: { snapshotID: null, source: { kind: "job", id }, parent: id } };
  const missing = withoutSandbox(job);
  if (missing)
    return refused(`from "${id}" names a job without files: ${missing.why}.${missing.retryable ? AWAIT : ""}`);
  const parked = sandbox.kind === "parked" ? context.findSnapshot(sandbox.snapshotID) : context.newestOf(job);
  if (parked) return { kind: "starts", from: { snapshotID: parked.id, source: null, parent: id } };
  return refused(
    sandbox.kind === "parked"
      ? `from "${id}" names a job whose files (snapshot ${sandbox.snapshotID}) have expired or were removed. Start from another job or snapshot.`
      : `from "${id}" names a job whose sandbox is gone, and no snapshot of it was taken. Start from another job or snapshot.`,
  );
}

const AWAIT = " Wait for it with agents_wait first, or start from a snapshot.";

function fromSnapshot(snapshot: SnapshotRecord, from: string, { provider }: SourceContext): StartDecision {
  const elsewhere = elsewhereProblem(`from "${from}" names a snapshot`, snapshot.provider, provider);
  if (elsewhere !== null) return refused(elsewhere);
  return { kind: "starts", from: { snapshotID: snapshot.id, source: null, parent: snapshot.jobID } };
}

const elsewhereProblem = (what: string, there: ProviderName, here: ProviderName): string | null =>
  there === here ? null : `${what} of the provider "${there}", but jobs now run on "${here}".`;

/** A running sandbox or an image at Modal. */
function fromSource(from: string, context: SourceContext): StartDecision {
  if (context.isOfJob)
    return refused(
      `from "${from}" names no snapshot of this job and none of its runs; without from, a run starts from the job's files as they are now.`,
    );
  const source = findSource(from, context);
  if (!source && JOB.test(from))
    return refused(
      `from "${from}" names no job or snapshot of this session. What another session of the project left is named by its snapshot's id, snap_…; experiments_list shows those of experiments.`,
    );
  if (!source)
    return refused(
      `from "${from}" names no job or snapshot of this session, nor by its id a snapshot of another session of the project; sandbox_snapshot takes a snapshot, agents_status lists both.`,
    );
  if (context.provider === "local")
    return refused(
      source.kind === "image"
        ? `from "${from}" is an image at Modal, but jobs run in local sandboxes here; start from a snapshot, or set up Modal credentials.`
        : `from "${from}" is a sandbox, and jobs in local sandboxes start from jobs and snapshots only; name its job, or take a snapshot with sandbox_snapshot.`,
    );
  return {
    kind: "starts",
    from: { snapshotID: null, source, parent: source.kind === "sandbox" ? source.jobID : null },
  };
}

function findSource(from: string, { ownerOf, isSnapshot }: SourceContext): TaskSource | null {
  if (IMAGE.test(from)) return isSnapshot(from) ? null : { kind: "image", id: from };
  const jobID = ownerOf(from);
  // Whether there is such a sandbox, and whether it is another session's, shows when it is frozen: both are told alike.
  return jobID !== null || SANDBOX.test(from) ? { kind: "sandbox", id: from, jobID } : null;
}

/** One answer for sandboxes that have ended, that never existed, and that another session has: nobody is told which. */
export const unknownSandbox = (id: string): string =>
  `from "${id}" names no running sandbox that this session can use; agents_status shows the sandboxes of its jobs, sandbox_snapshot freezes one.`;
