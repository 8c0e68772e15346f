import { type Burst, NEW_BURST } from "../../src/core/burst-state.ts";
import { NO_COMPUTE } from "../../src/core/cost.ts";
import type { Job } from "../../src/core/job.ts";
import { decideWait } from "../../src/core/linger.ts";
import { createGaps } from "../../src/jobs/bursts/gaps.ts";
import { createHeldGpus } from "../../src/jobs/bursts/held-gpus.ts";
import type { SessionJobs } from "../../src/jobs/session/session-jobs.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { GPU_TRACES, type GpuTrace } from "./gpu-traces.ts";

/*
 * Seconds for which an agent holds a GPU, for each second in which it computes on it, on recorded traces: held for the whole
 * job, for its commands with a wait of fixed length after each, and as the plugin decides, by its own code on a clock that is
 * moved ahead. Beside them what foresight would hold: it keeps the GPU through a gap only where a boot would cost more.
 */

/** Assumed: from the machine to the first line of the command, paid for; and until its files have come back. */
const BOOT_MS = 12_000;
const RETURN_MS = 2_000;
/** The contract's default of `gpuLingerSeconds`. */
const MOST_MS = 60_000;

interface Outcome {
  readonly heldMs: number;
  readonly boots: number;
}

type Steps = readonly { readonly thinkMs: number; readonly computeMs: number }[];

const toSteps = ({ steps }: GpuTrace): Steps =>
  steps.map(([think, compute]) => ({ thinkMs: think * 1000, computeMs: compute * 1000 }));

/** @param waitOf how long the GPU waits, by the gap that comes; after the last command none does */
function simulate(steps: Steps, waitOf: (gapMs: number) => number): Outcome {
  let heldMs = 0;
  let boots = 0;
  for (const [index, { computeMs }] of steps.entries()) {
    const gap = steps[index + 1]?.thinkMs ?? Number.POSITIVE_INFINITY;
    const before = steps[index]?.thinkMs ?? 0;
    if (index === 0 || before > waitOf(before)) {
      heldMs += BOOT_MS;
      boots++;
    }
    heldMs += computeMs + RETURN_MS + Math.min(gap, waitOf(gap));
  }
  return { heldMs, boots };
}

/** What the plugin's own code holds. */
async function elastic(steps: Steps): Promise<Outcome> {
  const clock = createFakeClock();
  let burst: Burst | null = NEW_BURST;
  const job = { compute: NO_COMPUTE, burst } as unknown as Job;
  const sessionJobs = {
    get: () => null,
    update(_: string, change: (job: Job) => Job) {
      burst = change({ ...job, burst }).burst ?? null;
      return job;
    },
  } as unknown as SessionJobs;
  const places = { release: () => {}, isWaitedFor: () => false };
  const limits = { meteredUsd: () => null };
  const held = createHeldGpus({ places, pool: { deleteSandbox: () => {} }, limits, clock, log: () => {} });
  const gaps = createGaps(clock);
  const gpu = { type: "H100", count: 1, exact: false };
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
    const place = { id: "lease", jobID: "job", orchestrator: "ses", owner: "me", slots: 0 as const, gpu };
    const files = { send: async () => {}, bringBack: async () => Promise.reject(new Error("not used")) };
    return held.hold({ sessionJobs, jobID: "job", place, sandbox, files });
  };
  for (const { thinkMs, computeMs } of steps) {
    await clock.advance(thinkMs);
    const askedAt = clock.now();
    gaps.asked("job", askedAt, [gpu], false);
    const former = held.of("job");
    if (former) held.use(former);
    const one = former ?? make();
    if (!former) await clock.advance(BOOT_MS);
    if (!former) gaps.ready("job", askedAt);
    await clock.advance(computeMs + RETURN_MS);
    gaps.ended("job", gpu);
    await held.release(one, decideWait(gaps.of("job"), MOST_MS));
  }
  await clock.advance(MOST_MS);
  return { heldMs, boots };
}

export async function benchGpuHeld(): Promise<void> {
  console.log("GPU seconds held for each second computed, on recorded traces (assumed: a boot of 12 s, files back in 2 s)");
  for (const trace of GPU_TRACES) {
    const steps = toSteps(trace);
    const computed = steps.reduce((sum, { computeMs }) => sum + computeMs, 0);
    const whole = steps.reduce((sum, { thinkMs, computeMs }) => sum + thinkMs + computeMs, BOOT_MS);
    console.log(`  ${trace.name}: ${steps.length} commands, ${Math.round(computed / 60_000)} min computed; ${trace.source}`);
    const show = (side: string, { heldMs, boots }: Outcome) =>
      console.log(`    ${side.padEnd(34)}${(heldMs / computed).toFixed(3)}   (${boots} sandboxes for ${steps.length} commands)`);
    show("held for the job", { heldMs: whole, boots: 1 });
    show("a wait of 60 s after each command", simulate(steps, () => MOST_MS));
    show("no wait", simulate(steps, () => 0));
    show("as the plugin decides", await elastic(steps));
    show("with foresight", simulate(steps, (gap) => (gap <= BOOT_MS ? gap : 0)));
  }
  console.log();
} // biome-ignore format: columns
