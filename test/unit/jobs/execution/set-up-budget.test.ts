import { expect, test } from "bun:test";
import { environmentSchema } from "../../../../src/config/environment.ts";
import { defaultOptions } from "../../../../src/config/schema.ts";
import type { StartRequest } from "../../../../src/jobs/actions/start-jobs.ts";
import { createFakeProcess } from "../../tools/fake-process.ts";
import { inWorld, ORCHESTRATOR, startIn, type World } from "../runtime-world.ts";
import { exited } from "./runs-support.ts";

/* Money while an environment's set-up runs: there is no turn that could be stopped, and no command of a run. */

const MIN = 60_000;
/** One core, a dollar an hour. */
const priced = {
  prices: { cpuCore: 1, memoryGiB: 0 },
  jobTimeoutMinutes: 1e4,
  modal: { ...defaultOptions("/state").modal, buildTimeoutMinutes: 1e4 },
  environments: {
    default: environmentSchema.parse({}),
    made: environmentSchema.parse({ setup: ["install"], workspace: "empty" }),
  },
};
const run: StartRequest = { description: "run", command: "train", environment: "made" };
const onGpu: StartRequest = { description: "gpu", prompt: "say done", environment: "made", gpu: "H100" };
const agent: StartRequest = { description: "agent", prompt: "say done", environment: "made" };

/** Set-up never ends by itself; every other command has ended. */
function withEndlessSetup(world: World): ReturnType<typeof createFakeProcess>[] {
  const setups: ReturnType<typeof createFakeProcess>[] = [];
  world.machine.devices = ["NVIDIA H100 80GB HBM3"];
  world.machine.onStart = ({ argv }) => {
    const process = createFakeProcess();
    if (!argv.includes("install")) process.end(exited(0));
    else setups.push(process);
    process.signal = async () => process.end({ kind: "signalled", signal: "SIGKILL" });
    return process;
  };
  return setups;
}

test.each([
  ["a run", run],
  ["a job with a GPU", onGpu],
  ["a job of an agent", agent],
] as const)("%s at its ceiling ends while its environment is built, and the build with it", async (_, task) => {
  await inWorld(
    async (world) => {
      const setups = withEndlessSetup(world);
      const maxUsd = task === onGpu ? 1.5 : 0.5;
      const [id = ""] = await world.start({ ...task, max_usd: maxUsd });
      await world.clock.until("its set-up runs", () => setups.length > 0);
      await world.clock.advance(90 * MIN);
      expect(world.job(id).state).toMatchObject({ kind: "failed", failure: { code: "budget_exceeded" } });
      expect(world.machine.sandboxes()).toEqual([]);
      const { usd } = world.job(id).compute;
      expect(usd).toBeGreaterThan(0.2);
      expect(usd).toBeLessThan(maxUsd);
      await world.clock.advance(10 * MIN);
      expect(world.job(id).compute.usd).toBe(usd);
    },
    priced,
    { providerName: "modal" },
  )();
});

test(
  "a session at its ceiling ends its own jobs, while another one goes on with the build",
  inWorld(
    async (world) => {
      const setups = withEndlessSetup(world);
      const [first = ""] = await world.start(run);
      await world.clock.until("its set-up runs", () => setups.length > 0);
      const [other] = await startIn(world.runtime, `${ORCHESTRATOR}_2`, run);
      const others = await world.runtime.sessionJobs(`${ORCHESTRATOR}_2`);
      await world.clock.advance(40 * MIN);
      expect(world.job(first).state).toMatchObject({ kind: "failed", failure: { code: "budget_exceeded" } });
      expect(others.get(other?.id ?? "")?.state.kind).toBe("starting");
      expect(world.machine.sandboxes()).toHaveLength(1);
      expect(world.job(first).compute.usd).toBeLessThan(1);
      expect(others.get(other?.id ?? "")?.compute.usd).toBeGreaterThan(0.2); // who waits pays
      setups[0]?.end(exited(0));
      await world.clock.until("it is built", () => others.get(other?.id ?? "")?.state.kind === "completed");
    },
    { ...priced, budget: { usdPerSession: 1, warnAt: 0.8 } },
    { providerName: "modal" },
  ),
);
