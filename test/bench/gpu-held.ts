import { type Burst, NEW_BURST } from "../../src/core/burst-state.ts";
import { NO_COMPUTE } from "../../src/core/cost.ts";
import type { Job } from "../../src/core/job.ts";
import { createHeldGpus } from "../../src/jobs/bursts/held-gpus.ts";
import type { SessionJobs } from "../../src/jobs/session/session-jobs.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { createFakeClock } from "../support/fake-clock.ts";

/*
 * Seconds for which an agent holds a GPU, for each second in which it computes on it: held for the whole job, and only for
 * the commands that use it. The trace is made up, not recorded: commands of a fixed length, and pauses between them in which
 * the agent thinks, edits and tests. Their proportion is that of published loops of five-minute runs, in which the GPU
 * computes 59 % to 66 % of the time that it is held (SkyPilot's 910 runs, VESSL's sixteen, a logged campaign of 177 GPU-hours). The spread of the
 * pauses is assumed. What decides when a GPU is given up is the plugin's own code, on a clock that is moved ahead.
 */

const DUTY = 0.62;
/** Assumed: from the machine to the first line of the command, paid for; and until its files have come back. */
const BOOT_MS = 12_000;
const RETURN_MS = 2_000;
const STEPS = 40;

interface Step {
  readonly computeMs: number;
  readonly pauseMs: number;
}

/** Pauses from a fifth of the mean to more than three times as long; the same each time. */
function traceOf(computeMs: number): Step[] {
  const mean = (computeMs * (1 - DUTY)) / DUTY;
  let seed = 7;
  const random = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  const raw = Array.from({ length: STEPS }, () => 0.2 - Math.log(1 - random()) * 0.8);
  const scale = (mean * STEPS) / raw.reduce((sum, one) => sum + one, 0);
  return raw.map((one) => ({ computeMs, pauseMs: one * scale }));
}

/** Seconds held, and how often a GPU was asked for. */
async function elastic(trace: readonly Step[], lingerMs: number): Promise<{ heldMs: number; boots: number }> {
  const clock = createFakeClock();
  let burst: Burst | null = NEW_BURST;
  const job = { compute: NO_COMPUTE, burst } as unknown as Job;
  const sessionJobs = {
    update(_: string, change: (job: Job) => Job) {
      burst = change({ ...job, burst }).burst ?? null;
      return job;
    },
  } as unknown as SessionJobs;
  const places = { release: () => {}, isWaitedFor: () => false };
  const limits = { meteredUsd: () => null };
  const held = createHeldGpus({ places, pool: { deleteSandbox: () => {} }, limits, lingerMs, clock, log: () => {} });
  let heldMs = 0;
  let boots = 0;
  const make = () => {
    const since = clock.now();
    const { promise: ended, resolve } = Promise.withResolvers<null>();
    const terminate = async () => {
      heldMs += clock.now() - since;
      resolve(null);
    };
    const sandbox = { id: `sbx_${++boots}`, usage: null, ended, terminate } as unknown as Sandbox;
    const place = { id: "lease", jobID: "job", orchestrator: "ses", owner: "me", slots: 0 as const, gpu: { type: "H100", count: 1, exact: false } };
    const files = { send: async () => {}, bringBack: async () => Promise.reject(new Error("not used")) };
    return held.hold({ sessionJobs, jobID: "job", place, sandbox, files });
  };
  for (const { computeMs, pauseMs } of trace) {
    const former = held.of("job");
    if (former) held.use(former);
    const one = former ?? make();
    if (!former) await clock.advance(BOOT_MS);
    await clock.advance(computeMs + RETURN_MS);
    await held.release(one, false);
    await clock.advance(pauseMs);
  }
  const last = held.of("job");
  if (last) await held.giveUp(last);
  return { heldMs, boots };
} // biome-ignore format: facts

export async function benchGpuHeld(): Promise<void> {
  console.log(`GPU seconds held for each second computed, on a made-up trace of ${STEPS} commands (GPU at work ${DUTY * 100} % of a job's time)`);
  for (const minutes of [5, 15, 30]) {
    const trace = traceOf(minutes * 60_000);
    const computed = trace.reduce((sum, { computeMs }) => sum + computeMs, 0);
    const whole = trace.reduce((sum, { computeMs, pauseMs }) => sum + computeMs + pauseMs, BOOT_MS);
    console.log(`  commands of ${minutes} min, pauses of ${Math.round(((1 - DUTY) / DUTY) * minutes * 60)} s on average`);
    console.log(`    held for the job${" ".repeat(28)}${(whole / computed).toFixed(2)}`);
    for (const lingerSeconds of [0, 15, 60, 300]) {
      const { heldMs, boots } = await elastic(trace, lingerSeconds * 1000);
      const ratio = (heldMs / computed).toFixed(2);
      console.log(`    for commands, gpuLingerSeconds ${String(lingerSeconds).padEnd(4)}${" ".repeat(8)}${ratio}   (${boots} sandboxes for ${STEPS} commands)`);
    }
  }
  console.log();
} // biome-ignore format: columns
