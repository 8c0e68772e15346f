import { formatGpu, type GpuRequest, gpusOf, parseGpu } from "../config/gpu.ts";
import { burstHolder, isEnough } from "../core/burst.ts";
import { chooseForCommand } from "../core/command-gpus.ts";
import { gpuProblem } from "../core/gpu-problem.ts";
import type { Job } from "../core/job.ts";
import { GPU_OF_RUNS } from "../core/nested-runs.ts";
import { watchLimits } from "../jobs/execution/limits-reached.ts";
import { renderBurst } from "../prompt/burst.ts";
import type { Sandbox, SandboxProcess } from "../sandboxes/port.ts";
import { shellCommand } from "../sandboxes/shell-command.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { describeStep } from "../views/job-view.ts";
import type { ToolDeps } from "./define-tool.ts";
import { followShown } from "./exec-output.ts";
import type { FoundWorker } from "./find-worker.ts";
import type { ToolAnswer, ToolCall } from "./tool.ts";

export interface GpuCommand {
  readonly command: string;
  readonly workdir: string | undefined;
  readonly timeoutSeconds: number;
  readonly gpus: readonly GpuRequest[];
}

/** Ends a command there whose OpenCode has died, where the sandbox has a program for that. Longer than the limit that is kept here. */
const BOUNDED = `if timeout -k 1 5 true 2>/dev/null; then exec timeout -k 10 "$0" "$@"; fi; exec "$@"`;
const SLACK_SECONDS = 60;
/** Of a log that is copied into the job's sandbox; the end of a longer one. */
const LOG_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 8 * 1024 * 1024;

/** @returns the GPUs that a command asks for, in order of preference @throws PluginError `invalid_task`, `not_found` */
export async function readGpus({ runtime, jobID, sessionJobs }: FoundWorker, text: string): Promise<readonly GpuRequest[]> {
  const refuse = (message: string) => new PluginError("invalid_task", message, { retryable: false });
  const parsed = parseGpu(text.replaceAll(/\s*,\s*/g, "|"));
  if (parsed.kind === "invalid") throw refuse(`gpu "${oneLine(text, 100)}": ${parsed.message}.`);
  const job = sessionJobs.get(jobID);
  if (!job) return [];
  if (job.task.forbidden.includes(GPU_OF_RUNS))
    throw new PluginError("not_found", "The user's permissions allow this job no GPUs (permission gpu). Run the command without gpu.", { retryable: false });
  const { provider } = job;
  const machine = provider === "local" ? await runtime.machineGpus.read() : null;
  const limits = runtime.admissionLimits;
  const problem = gpuProblem(oneLine(text, 100), parsed.preferences, { provider, machine, gpuLimits: limits.gpus });
  if (problem !== null) throw refuse(problem);
  const gpus = parsed.preferences.map((gpu) => (provider === "local" ? { ...gpu, onMachine: true } : gpu));
  if (ownGpuFor(job, gpus) !== null || isPossibleBeside(job, gpus, limits)) return gpus;
  const message = `gpu "${oneLine(text, 100)}" is more than gpuLimits allows beside the GPUs that this job has itself (${JSON.stringify(limits.gpus)}). Ask for fewer, or run the command in your own sandbox.`;
  throw refuse(message);
} // biome-ignore format: messages

/** What the job's own sandbox has of it; null = nothing that is enough. */
export function ownGpuFor(job: Job | undefined, gpus: readonly GpuRequest[]): string | null {
  const [own] = gpusOf(job?.gpu ?? null);
  return own && isEnough(own, gpus) ? formatGpu(own) : null;
}

function isPossibleBeside(
  job: Job,
  gpus: readonly GpuRequest[],
  limits: Parameters<typeof chooseForCommand>[3],
): boolean {
  const [gpu = null] = gpusOf(job.gpu);
  const own = { slots: 1 as const, gpu: gpu && job.provider === "local" ? null : gpu };
  return chooseForCommand(burstHolder(job.id), gpus, { leases: [own], queue: [] }, limits, 0) !== null;
}

/** Runs a command in the foreground on a GPU, in a copy of the job's sandbox, and brings its files back. */
export async function execOnGpu(
  deps: Pick<ToolDeps, "fileChanges">,
  { runtime, jobID, sessionJobs, sandbox: here }: FoundWorker,
  call: ToolCall,
  { command, workdir, timeoutSeconds, gpus }: GpuCommand,
): Promise<ToolAnswer> {
  const progress = call.progress();
  const onWait = (reason: string | null) => {
    const title = `waiting for ${gpus.map(formatGpu).join(" or ")}: ${reason}`;
    progress.show(() =>
      reason === null ? { title: command, text: "", metadata: {} } : { title, text: title, metadata: {} },
    );
  };
  const isLost = () => runtime.lifecycle.live(jobID) !== here;
  try {
    const running = runtime.bursts.run(
      {
        sessionJobs,
        jobID,
        gpus,
        command: oneLine(command, 200),
        here,
        signal: call.abort,
        exclusively: (work) => deps.fileChanges.run(jobID, work),
        onWait,
        describeStep,
      },
      async (there, signal) => {
        const job = sessionJobs.get(jobID);
        const explain = watchLimits({
          job: job && { ...job, gpu: job.burst?.gpu ?? job.gpu },
          sandbox: there,
          environments: runtime.options.environments,
        });
        const limit = String(Math.ceil(timeoutSeconds) + SLACK_SECONDS);
        const process = await there.start({
          argv: ["/bin/sh", "-c", BOUNDED, limit, ...shellCommand(command, { input: false })],
          ...(workdir !== undefined && { workdir }),
          keepLog: true,
          noInput: true,
          oneStream: true,
        });
        const keepLog = (ended: SandboxProcess) => copyLog(there, here, ended.logPath);
        const shown = { runtime, jobID, command, timeoutSeconds, signal, progress, explain, isLost, keepLog };
        return followShown(process, shown);
      },
    );
    const { result, gpu, devices, wasThere, returned } = await unlessLost(running, isLost, call.abort);
    await here.reloadVolumes?.().catch(() => {}); // they show at the next turn at the latest
    return {
      ...result,
      output: `${result.output}\n${renderBurst(gpu, devices, wasThere, returned)}`,
      metadata: { ...result.metadata, gpu, devices, files: toFiles(returned) },
    };
  } finally {
    await progress.stop();
  }
}

/**
 * A turn is stopped when the job's own sandbox is lost, and the host does not wait for what becomes of the command's files.
 * @throws PluginError `sandbox_lost`
 */
function unlessLost<T>(running: Promise<T>, isLost: () => boolean, stop: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (isLost()) reject(new PluginError("sandbox_lost", LOST, { retryable: true }));
    };
    stop.addEventListener("abort", look, { once: true });
    if (stop.aborted) look();
    running.then(resolve, reject).finally(() => stop.removeEventListener("abort", look));
  });
}

const LOST =
  "Your own sandbox was lost while this command was on its way to a GPU or ran on one, so it was stopped. What it wrote did not come back; where it could be kept, a note on the job names the snapshot.";

function toFiles(returned: Parameters<typeof renderBurst>[3]): Record<string, unknown> {
  if (returned.kind === "failed") return { cameBack: false, why: returned.why, snapshot: returned.snapshot };
  const { put, removed, beside, left } = returned.files;
  return {
    cameBack: true,
    changed: put,
    removed,
    beside: beside.length,
    left: left.length,
    snapshot: returned.snapshot,
  };
}

/** The log of a command lies in the sandbox that it ran in. @returns its path in the job's own; null where it cannot be had */
async function copyLog(from: Sandbox, to: Sandbox, path: string | null): Promise<string | null> {
  if (path === null) return null;
  const pieces: Uint8Array[] = [];
  try {
    for (let offset = 0, kept = 0; ; ) {
      const piece = await from.readFile(path, { offset, maxBytes: PIECE_BYTES });
      if (piece.length === 0) break;
      pieces.push(piece);
      offset += piece.length;
      kept += piece.length;
      while (kept - (pieces[0]?.length ?? 0) > LOG_BYTES) kept -= pieces.shift()?.length ?? 0;
    }
    const copy = `/tmp/gpu-${path.slice(path.lastIndexOf("/") + 1)}`;
    await to.writeFile(copy, Buffer.concat(pieces));
    return copy;
  } catch {
    return null;
  }
}
