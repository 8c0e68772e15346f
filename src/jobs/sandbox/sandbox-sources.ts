import type { ProviderName } from "../../config/provider-names.ts";
import { isSameCall } from "../../core/call-key.ts";
import { isEnded, isHeld, type Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { SnapshotRecord } from "../../core/snapshot-record.ts";
import { frozenSourceNote, incompleteSnapshotNote } from "../../core/source-notes.ts";
import { unknownSandbox } from "../../core/starting-point.ts";
import type { TaskSource } from "../../core/task-source.ts";
import type { SandboxProvider, SandboxSpec } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { LiveSandboxes } from "./live-sandboxes.ts";
import type { Parking } from "./parking.ts";
import type { Snapshots } from "./snapshots.ts";

/** The running sandboxes that jobs start from: frozen when their tasks are accepted, as those go on meanwhile. */
export interface SandboxSources {
  /** Begins to freeze what these new jobs of one call start from, each source once. Returns at once. */
  freeze(sessionJobs: SessionJobs, jobs: readonly Job[]): void;
  /**
   * The job with the frozen files as its snapshot, once they are; a job that starts from no sandbox at once.
   * @throws PluginError `invalid_task`: there is no such sandbox for this session; `snapshot_failed`
   */
  frozen(sessionJobs: SessionJobs, job: Job): Promise<Job>;
}

export interface SandboxSourcesDeps {
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly liveSandboxes: Pick<LiveSandboxes, "operations" | "raw">;
  readonly parking: Pick<Parking, "getOrAttach" | "parkNow">;
  readonly snapshots: Pick<Snapshots, "take" | "freeze" | "promote" | "adopt" | "find" | "newestOf">;
  readonly pool: Pick<PoolStore, "sandboxes">;
  readonly log: Log;
}

type Running = Exclude<TaskSource, { kind: "image" }>;
type SandboxSource = Extract<TaskSource, { kind: "sandbox" }>;

/** Gives the jobs their snapshot, before anything else can be done to what was frozen. */
type Give = (snapshot: SnapshotRecord) => void;

export function createSandboxSources(deps: SandboxSourcesDeps): SandboxSources {
  const { liveSandboxes, parking, snapshots, log } = deps;
  /** By job. */
  const freezing = new Map<string, Promise<void>>();

  /** @param isLate when the jobs start, because they could not be given the files when their task was accepted */
  function begin(sessionJobs: SessionJobs, jobs: readonly Job[], source: Running, isLate: boolean): Promise<void> {
    const give: Give = (snapshot) => {
      const notes = [frozenSourceNote(source, snapshot.id, isLate), ...snapshot.leftOut.map(incompleteSnapshotNote)];
      for (const { id } of jobs)
        sessionJobs.update(id, (job) =>
          isUnfrozen(job) ? withNotes({ ...job, task: { ...job.task, snapshotID: snapshot.id } }, notes) : job,
        );
    };
    const frozen = freezeSource(sessionJobs, jobs, source, give);
    for (const { id } of jobs) freezing.set(id, frozen);
    const forget = () => {
      for (const { id } of jobs) freezing.delete(id); // what failed is tried again when a job starts
    };
    frozen.then(forget, forget);
    return frozen;
  }

  function freezeSource(sessionJobs: SessionJobs, jobs: readonly Job[], source: Running, give: Give): Promise<void> {
    if (source.kind === "job") return freezeJob(sessionJobs, source.id, give);
    if (source.jobID !== null) return freezeSandboxOf(sessionJobs, source, source.jobID, give);
    const [first] = jobs;
    return first ? freezeForeign(first, source, give) : Promise.resolve();
  }

  /** Freezes the newest files of a job of this session. One that was parked meanwhile was frozen then. */
  function freezeJob(sessionJobs: SessionJobs, ownerID: string, give: Give): Promise<void> {
    return liveSandboxes.operations.run(ownerID, async () => {
      const owner = sessionJobs.reload(ownerID); // another process may have parked it
      const wasLive = liveSandboxes.raw(ownerID) !== undefined;
      const sandbox = await parking.getOrAttach(sessionJobs, owner);
      if (sandbox && (wasLive || !isEnded(owner.state)))
        return give(await snapshots.freeze(sessionJobs, owner, sandbox));
      if (sandbox) await parking.parkNow(sessionJobs, ownerID); // attached only for this: its parking freezes it
      const elsewhere = isHeld(owner.state) && owner.sandbox.kind === "live" && !sandbox ? owner.sandbox.id : null;
      if (elsewhere !== null) return give(await freezeElsewhere(owner, elsewhere));
      const now = requireJob(sessionJobs, ownerID);
      const kept =
        now.sandbox.kind === "parked"
          ? snapshots.find(now.orchestrator, now.sandbox.snapshotID)
          : snapshots.newestOf(now);
      if (kept) return give(kept);
      throw new PluginError(
        "snapshot_failed",
        `The files of ${ownerID}, from which the task starts, could not be frozen.`,
        {
          retryable: true,
        },
      );
    });
  }

  /** Freezes the sandbox of a job that another OpenCode process runs, where its provider lets anybody do that. */
  async function freezeElsewhere(owner: Job, sandboxID: string): Promise<SnapshotRecord> {
    const { snapshots: store } = await deps.provider(owner.provider);
    if (store?.freeze) return snapshots.adopt(owner, await store.freeze(sandboxID, () => false));
    const message = `The files of ${owner.id}, from which the task starts, could not be frozen: it runs in another OpenCode process. Start from a snapshot that it takes with sandbox_snapshot.`;
    throw new PluginError("snapshot_failed", message, { retryable: true });
  }

  /** Freezes this sandbox of a job of this session, and no other that the job has by now. */
  function freezeSandboxOf(
    sessionJobs: SessionJobs,
    { id }: SandboxSource,
    ownerID: string,
    give: Give,
  ): Promise<void> {
    return liveSandboxes.operations.run(ownerID, async () => {
      const owner = sessionJobs.get(ownerID);
      if (!owner) throw unknown(id);
      const wasLive = liveSandboxes.raw(ownerID) !== undefined;
      try {
        const sandbox = await parking.getOrAttach(sessionJobs, owner);
        if (sandbox?.id === id)
          return give((await snapshots.take(owner, sandbox, { label: null, path: null })).snapshot);
        const now = sessionJobs.get(ownerID)?.sandbox;
        const parked = now?.kind === "parked" ? snapshots.promote(owner, now.snapshotID, null) : null;
        if (parked) return give(parked.snapshot);
        throw unknown(id);
      } finally {
        if (!wasLive) await parking.parkNow(sessionJobs, ownerID);
      }
    });
  }

  /** Freezes a sandbox of the user's own in the account. */
  async function freezeForeign(job: Job, { id }: SandboxSource, give: Give): Promise<void> {
    const isOfJob = (tags: SandboxSpec["tags"]) => tags.lab !== undefined && tags.job !== undefined;
    const isRecorded = deps.pool.sandboxes().some((one) => one.id === id);
    const { snapshots: store } = await deps.provider(job.provider);
    if (isRecorded || !store?.freeze) throw unknown(id);
    const taken = await store.freeze(id, isOfJob).catch((error) => {
      throw error instanceof PluginError && error.code === "not_found" ? unknown(id) : error;
    });
    give(snapshots.adopt(job, taken));
  }

  return {
    freeze(sessionJobs, jobs) {
      const waiting = jobs.filter(isUnfrozen);
      for (const key of new Set(waiting.map(keyOf))) {
        const sharing = waiting.filter((job) => keyOf(job) === key);
        const source = sharing[0] && runningSourceOf(sharing[0]);
        if (!source) continue;
        begin(sessionJobs, sharing, source, false).catch((error) =>
          log("warn", "could not freeze what jobs start from", { source: key, reason: String(error) }),
        );
      }
    },
    async frozen(sessionJobs, accepted) {
      const job = sessionJobs.get(accepted.id) ?? accepted;
      const source = runningSourceOf(job);
      if (!source || job.task.snapshotID !== null) return job;
      await (freezing.get(job.id) ?? begin(sessionJobs, siblingsOf(sessionJobs, job), source, true));
      return requireJob(sessionJobs, job.id);
    },
  };
}

function runningSourceOf({ task: { source } }: Job): Running | null {
  return source === undefined || source.kind === "image" ? null : source;
}

/** Whether it waits for the files that it starts from. */
const isUnfrozen = (job: Job): boolean =>
  !isEnded(job.state) && job.task.snapshotID === null && runningSourceOf(job) !== null;

const keyOf = ({ task: { source } }: Job): string => `${source?.kind} ${source?.id}`;

/** The job itself and those of its call that wait for the same files. */
function siblingsOf(sessionJobs: SessionJobs, job: Job): Job[] {
  const isSibling = (one: Job) => isUnfrozen(one) && isSameCall(one.origin, job.origin) && keyOf(one) === keyOf(job);
  return sessionJobs.all().filter((one) => one.id === job.id || isSibling(one));
}

const unknown = (id: string) => new PluginError("invalid_task", unknownSandbox(id), { retryable: false });
