import { gpusOf } from "../../config/gpu.ts";
import {
  creditOf,
  GPU_QUERY,
  type GpuAnswer,
  type GpuSample,
  isIdle,
  readAnswer,
  withGpuUse,
} from "../../core/gpu-use.ts";
import { isHeld, type Job } from "../../core/job.ts";
import { RUN_VARIABLE } from "../../core/run-variable.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { followScript } from "../../workspace/sandbox/run-script.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

/**
 * Measures how busy the GPUs of sandboxes are. Asked is only while commands of the job run, and once after the last of them:
 * a question counts as activity, which must not keep an idle sandbox from its end.
 */
export interface GpuSampler {
  /** Begins with a sandbox; nothing happens for one without GPUs. @returns the function that ends it, and records the rest */
  follow(followed: FollowedSandbox): () => void;
}

export interface FollowedSandbox {
  readonly sessionJobs: SessionJobs;
  /** Whose GPUs they are. */
  readonly job: Pick<Job, "id" | "gpu" | "task">;
  readonly sandbox: Sandbox;
  /** Whether commands of an agent run in it; a run's always do. */
  readonly isBusy: () => boolean;
  /** Whether the job had it in a former process already, and held its GPUs meanwhile. */
  readonly isFoundAgain: boolean;
}

export interface GpuSamplerDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Between questions: soon in the beginning, as many commands are short, and calmly later. */
const INTERVALS_MS = [2_000, 3_000, 5_000, 10_000] as const;
const INTERVAL_MS = 20_000;
const LEAST_MS = 1_000;
/** How often it is looked whether commands run, which asks nobody. */
const LOOK_MS = 5_000;
/** How often the time is recorded in which nothing runs. */
const RECORD_MS = 60_000;
const ANSWER_MS = 10_000;
/** Exit code of `ASK`. */
const NOT_FOUND = 127;
const LONGEST_ANSWER = 8_192;
const MOST_FAILURES = 3;
/** Between questions after as many failures. */
const AFTER_FAILURES_MS = 10 * 60_000;

/**
 * Without isolation a sandbox sees all GPUs of the machine, and has the ids of its own in a variable. The other variable lets
 * the command be ended with a run that it is asked beside.
 */
const ASK = `command -v nvidia-smi >/dev/null 2>&1 || exit 127
case $CUDA_VISIBLE_DEVICES in GPU-*) set -- -i "$CUDA_VISIBLE_DEVICES" ;; *) set -- ;; esac
${RUN_VARIABLE}=gpu-use exec nvidia-smi "$@" --query-gpu=${GPU_QUERY} --format=csv,noheader,nounits 2>/dev/null`;

export function createGpuSampler(deps: GpuSamplerDeps): GpuSampler {
  /** Sandboxes without nvidia-smi, which are not asked again. */
  const without = new WeakSet<Sandbox>();
  return {
    follow(followed) {
      const gpus = gpusIn(followed);
      return gpus === 0 ? () => {} : measure(deps, followed, gpus, without);
    },
  };
}

function gpusIn({ job, sandbox: { gpu } }: FollowedSandbox): number {
  if (gpu === null) return 0;
  return gpu.granted?.count ?? gpusOf(job.gpu ?? job.task.gpu)[0]?.count ?? Math.max(1, gpu.devices.length);
}

function measure(
  { clock, log }: GpuSamplerDeps,
  { sessionJobs, job: { id: jobID }, sandbox, isBusy, isFoundAgain }: FollowedSandbox,
  gpus: number,
  without: WeakSet<Sandbox>,
): () => void {
  const abort = new AbortController();
  /** Whether no command runs, since the present stretch began, whether it was asked in it, and its newest answer. */
  let isQuiet = true;
  let isKnown = true;
  let newest: GpuSample | null = null;
  /** Up to when it is recorded how long GPUs were held, and how busy they were. */
  let heldUntil = (isFoundAgain && sessionJobs.get(jobID)?.gpuUse?.until) || clock.now();
  let measuredUntil = clock.now();
  let asked = 0;
  let failures = 0;
  let nextAt = clock.now();
  let cancel = clock.after(INTERVALS_MS[0], tick);

  function tick(): void {
    look()
      .catch(onProblem)
      .finally(() => {
        if (abort.signal.aborted) return;
        const dueIn = isQuiet || without.has(sandbox) ? LOOK_MS : nextAt - clock.now();
        cancel = clock.after(Math.min(LOOK_MS, Math.max(LEAST_MS, dueIn)), tick);
      });
  }

  async function look(): Promise<void> {
    const job = sessionJobs.get(jobID);
    if (!job) return;
    const isWorking = isHeld(job.state);
    if (isQuiet === (isWorking && (isBusy() || isRunning(job)))) {
      record(null, endOf(job));
      isQuiet = !isQuiet;
      isKnown = false;
      newest = null;
    }
    const isDue = isWorking && clock.now() >= nextAt && !without.has(sandbox);
    if (isDue && !(isQuiet && isKnown)) await ask();
    else if (clock.now() - heldUntil >= RECORD_MS) record(null, endOf(job));
  }

  async function ask(): Promise<void> {
    const answer = await answerOf(sandbox, gpus, clock, abort.signal);
    if (abort.signal.aborted) return;
    asked++;
    isKnown = true;
    if (answer.kind === "missing") without.add(sandbox);
    failures = answer.kind === "failed" ? failures + 1 : 0;
    nextAt = clock.now() + (failures >= MOST_FAILURES ? AFTER_FAILURES_MS : (INTERVALS_MS[asked] ?? INTERVAL_MS));
    record(answer, clock.now());
  }

  /** Records the time since the last record. @param end when the last command ended at the latest */
  function record(answer: GpuAnswer | null, end: number): void {
    const now = clock.now();
    const after = answer?.kind === "sample" ? answer.sample : null;
    const credit = creditOf({ ms: end - measuredUntil, before: newest, after, isQuiet });
    const heldSeconds = (gpus * Math.max(0, now - heldUntil)) / 1000;
    const stands = isQuiet && newest !== null && isIdle(newest) ? newest : null;
    newest = after ?? stands;
    heldUntil = now;
    measuredUntil = now;
    sessionJobs.update(jobID, (job) => ({
      ...job,
      gpuUse: withGpuUse(job.gpuUse, { heldSeconds, ...credit, until: now, answer }),
    }));
  }

  const onProblem = (error: unknown) =>
    log("debug", "could not record how busy GPUs are", { jobID, sandboxID: sandbox.id, reason: String(error) });

  const isRunning = ({ state, task }: Job) => state.kind === "running" && task.run !== null;

  const endOf = ({ state }: Job): number => (isHeld(state) ? clock.now() : Math.min(state.since, clock.now()));

  return () => {
    abort.abort();
    cancel();
    try {
      const job = sessionJobs.get(jobID);
      if (job) record(null, endOf(job));
    } catch (error) {
      onProblem(error); // its session is closed
    }
  };
}

async function answerOf(sandbox: Sandbox, gpus: number, clock: Clock, signal: AbortSignal): Promise<GpuAnswer> {
  let printed = "";
  try {
    const asking = followScript(sandbox, ASK, [], { clock, limitMs: ANSWER_MS, signal });
    for (;;) {
      const next = await asking.next();
      if (next.done && next.value === NOT_FOUND) return { kind: "missing" };
      if (next.done) break;
      printed += Buffer.from(next.value.bytes).toString("latin1");
      if (printed.length <= LONGEST_ANSWER) continue;
      await asking.return(0); // ends the command
      return { kind: "failed" };
    }
  } catch {
    return { kind: "failed" }; // it took too long, or its sandbox is ending
  }
  const sample = readAnswer(printed, gpus, clock.now());
  return sample === null ? { kind: "failed" } : { kind: "sample", sample };
}
