import type { Sandbox } from "../sandboxes/port.ts";
import { callKey } from "./call-key.ts";
import type { Job } from "./job.ts";

/*
 * Runs that have one sandbox after the other, because their task says so (`reuse`). What stays for the next one is what a
 * run leaves outside its work directory, such as installed packages and downloaded data.
 */

/** Runs with the same key may have a sandbox one after the other; null = this job has its own. */
export function reuseKey({ task, origin, provider }: Job): string | null {
  const { run } = task;
  // The GPUs of a sandbox count for its job until it has ended, so with GPUs the next run would not be admitted before that.
  if (!run?.reuse || run.measures !== null || origin === null || task.gpu !== null) return null;
  const from = task.source ?? task.snapshotID;
  return JSON.stringify([callKey(origin), provider, task.environment, from, task.skills, run.files]);
}

/** Whether the sandbox of a run may be given to another, as far as the run is concerned: its command has succeeded. */
export const leavesSandbox = (job: Job): boolean =>
  reuseKey(job) !== null && job.state.kind === "completed" && job.exitCode === 0 && job.sandbox.kind === "live";

/** Whether a run could still get the sandbox of another. */
export const takesSandbox = ({ state, sandbox }: Job): boolean =>
  (state.kind === "queued" || state.kind === "starting") && (sandbox.kind === "none" || sandbox.kind === "creating");

/**
 * Whether a sandbox exists for long enough.
 * @param until when its provider ends it, epoch ms; null = never
 */
export const livesLongEnough = (until: number | null, neededMs: number, now: number): boolean =>
  until === null || until - now >= neededMs;

/** The run with the sandbox of another, and with what that was made from. */
export const withSandboxOf = (job: Job, from: Job, { id, ports }: Pick<Sandbox, "id" | "ports">): Job => ({
  ...job,
  task: { ...job.task, snapshotID: job.task.snapshotID ?? from.task.snapshotID },
  base: job.base ?? from.base,
  formerBases: job.base ? job.formerBases : from.formerBases,
  sandbox: { kind: "live", id },
  gpuWait: null,
  devices: from.devices,
  ports,
});

/** Note on the run that a sandbox came from. @param isKept whether it had made files, of which there is a snapshot */
export const gaveSandboxNote = (to: string, workdir: string, isKept: boolean): string =>
  isKept
    ? `Its sandbox went on to ${to} (reuse).`
    : `Its sandbox went on to ${to} (reuse). It had made and changed no files in ${workdir}, so there is no snapshot of it.`;

/** Note on a run whose files were kept so that its sandbox can go on to another, which may still fail. */
export const folderKeptNote = (workdir: string): string =>
  `Its snapshot holds ${workdir} only, because its sandbox was cleared for another run (reuse).`;

/** Note on the run that has the sandbox now. */
export const tookSandboxNote = (from: string): string =>
  `It runs in the sandbox of ${from} (reuse): what that one left outside the work directory is in place.`;
