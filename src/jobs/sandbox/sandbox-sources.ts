import type { ProviderName } from "../../config/provider-names.ts";
import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { TaskSource } from "../../core/task-source.ts";
import { unknownSandbox } from "../../core/task-source.ts";
import type { SandboxProvider, SandboxSpec } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { LiveSandboxes } from "./live-sandboxes.ts";
import type { Parking } from "./parking.ts";
import type { Snapshots } from "./snapshots.ts";

/** The running sandboxes that jobs start from: frozen when their tasks are accepted, as those go on meanwhile. */
export interface SandboxSources {
  /** Begins to freeze the sandboxes that these new jobs start from. Returns at once. */
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
  readonly snapshots: Pick<Snapshots, "take" | "promote" | "adopt">;
  readonly pool: Pick<PoolStore, "sandboxes">;
  readonly log: Log;
}

type SandboxSource = Extract<TaskSource, { kind: "sandbox" }>;

export function createSandboxSources(deps: SandboxSourcesDeps): SandboxSources {
  const { liveSandboxes, parking, snapshots, log } = deps;
  /** By job. */
  const freezing = new Map<string, Promise<string>>();

  const begin = (sessionJobs: SessionJobs, job: Job, source: SandboxSource): Promise<string> => {
    const { jobID } = source;
    const frozen = jobID === null ? freezeForeign(job, source) : freezeOwn(sessionJobs, source, jobID);
    freezing.set(job.id, frozen);
    frozen.catch(() => freezing.delete(job.id)); // tried again when the job starts
    return frozen;
  };

  /** Freezes the sandbox of a job of this session. One that was parked meanwhile was frozen then. */
  function freezeOwn(sessionJobs: SessionJobs, { id }: SandboxSource, ownerID: string): Promise<string> {
    return liveSandboxes.operations.run(ownerID, async () => {
      const owner = sessionJobs.get(ownerID);
      if (!owner) throw unknown(id);
      const wasLive = liveSandboxes.raw(ownerID) !== undefined;
      try {
        const sandbox = await parking.getOrAttach(sessionJobs, owner);
        if (sandbox?.id === id) return (await snapshots.take(owner, sandbox, { label: null, path: null })).snapshot.id;
        const now = sessionJobs.get(ownerID)?.sandbox;
        const parked = now?.kind === "parked" ? snapshots.promote(owner, now.snapshotID, null) : null;
        if (parked) return parked.snapshot.id;
        throw unknown(id);
      } finally {
        if (!wasLive) await parking.parkNow(sessionJobs, ownerID);
      }
    });
  }

  /** Freezes a sandbox of the user's own in the account. */
  async function freezeForeign(job: Job, { id }: SandboxSource): Promise<string> {
    const isOfJob = (tags: SandboxSpec["tags"]) => tags.lab !== undefined && tags.job !== undefined;
    const isRecorded = deps.pool.sandboxes().some((one) => one.id === id);
    const { snapshots: store } = await deps.provider(job.provider);
    if (isRecorded || !store?.freeze) throw unknown(id);
    const taken = await store.freeze(id, isOfJob).catch((error) => {
      throw error instanceof PluginError && error.code === "not_found" ? unknown(id) : error;
    });
    return snapshots.adopt(job, taken).id;
  }

  return {
    freeze(sessionJobs, jobs) {
      for (const job of jobs) {
        const { source } = job.task;
        if (job.state.kind !== "queued" || source?.kind !== "sandbox") continue;
        begin(sessionJobs, job, source).catch((error) =>
          log("warn", "could not freeze a sandbox that a job starts from", { jobID: job.id, reason: String(error) }),
        );
      }
    },
    async frozen(sessionJobs, job) {
      const { source } = job.task;
      if (source?.kind !== "sandbox" || job.task.snapshotID !== null) return job;
      const snapshotID = await (freezing.get(job.id) ?? begin(sessionJobs, job, source));
      freezing.delete(job.id);
      const change = (one: Job): Job => ({ ...one, task: { ...one.task, snapshotID } });
      const note = `It starts from the files of the sandbox ${source.id} as they were when the task was accepted (snapshot ${snapshotID}).`;
      sessionJobs.update(job.id, (current) => withNotes(change(current), [note]));
      return change(job);
    },
  };
}

const unknown = (id: string) => new PluginError("invalid_task", unknownSandbox(id), { retryable: false });
