import { expect, test } from "bun:test";
import { optionsSchema } from "../../../../src/config/schema.ts";
import type { Job } from "../../../../src/core/job.ts";
import type { Sandbox } from "../../../../src/sandboxes/port.ts";
import { createFakeProcess, type FakeProcess } from "../../tools/fake-process.ts";
import { MIN } from "../execution/lost-sandbox-support.ts";
import { exited, run } from "../execution/runs-support.ts";
import { bytes, inWorld, ORCHESTRATOR, storedJob, text, type World } from "../runtime-world.ts";

/* Runs that hand their sandbox on (`reuse`), where something fails after the files of the former one are kept. */

const ONE_AT_A_TIME = { maxRunningJobs: 1 };
const REUSE = { matrix: { SEED: [1, 2] }, reuse: true, files: ["out.json"] };

interface Commands {
  readonly runs: FakeProcess[];
  /** Removes the files of the former run from its sandbox. */
  onRemove(process: FakeProcess, sandbox: Sandbox): void;
}

/** Has the machine's commands be those of runs, of which the first leaves a result file. */
function followReuse(world: World, onRemove: Commands["onRemove"]): Commands {
  const commands: Commands = { runs: [], onRemove };
  world.machine.onStart = ({ argv, env = {} }, sandbox) => {
    const process = createFakeProcess("p", "/logs/1.log");
    const script = argv.join(" ");
    if (env.PARALLEL_AGENTS_RUN) commands.runs.push(process);
    else if (script.includes('rm -f -- "$name"')) {
      for (const { files } of world.machine.sandboxes())
        for (const path of [...files.keys()].filter((one) => one.endsWith("out.json"))) files.delete(path);
      commands.onRemove(process, sandbox);
    } else {
      if (script.includes("untouched()")) process.print("left\nN./out.json\0");
      process.end(exited(0));
    }
    return process;
  };
  return commands;
}

/** Starts two runs; the first leaves a result and ends well. */
async function endFirst(world: World, { runs }: Commands): Promise<readonly [first: string, second: string]> {
  const [first = "", second = ""] = await world.start(run("train", REUSE));
  await world.clock.until("the first run has begun", () => runs.length === 1);
  await world.runtime.lifecycle.live(first)?.writeFile("out.json", bytes("1"));
  runs[0]?.end(exited(0));
  await world.reaches(first, "completed");
  return [first, second];
}

/** The second run works in a sandbox of its own, and ends. */
async function endSecond(world: World, { runs }: Commands, second: string): Promise<void> {
  await world.clock.until("the second run has begun", () => runs.length === 2);
  runs[1]?.end(exited(0));
  await world.reaches(second, "completed");
}

async function readResult({ runtime, clock }: World, jobID: string): Promise<string> {
  const { whole } = await runtime.sessionJobs(ORCHESTRATOR);
  const use = async (sandbox: Pick<Sandbox, "readFile"> | null) =>
    text(await sandbox?.readFile("out.json", { offset: 0, maxBytes: 99 }));
  let read: string | null = null;
  void runtime.jobFiles.read(whole, jobID, { use: use as never }).then((found) => {
    read = String(found);
  });
  return clock.until("the result is read", () => read);
}

async function checkKept(world: World, first: string, second: string): Promise<void> {
  await world.clock.advance(2 * MIN);
  const job = world.job(first);
  expect(job).toMatchObject({ sandbox: { kind: "parked" }, loss: null, compute: { since: null } });
  expect(job.notes).toEqual([expect.stringMatching(/^Its snapshot holds \S+ only/)]);
  expect(world.job(second).notes.join()).not.toContain("reuse");
  expect(await readResult(world, first)).toBe("1");
}

const FAILURES: Readonly<Record<string, Commands["onRemove"]>> = {
  "clearing its sandbox fails halfway": (process) => process.end(exited(1)),
  "clearing its sandbox takes too long": () => {},
};

for (const [what, onRemove] of Object.entries(FAILURES))
  test(
    `a run keeps its result files when ${what}, and its sandbox ends`,
    inWorld(async (world) => {
      world.machine.keepsLast = true;
      const commands = followReuse(world, onRemove);
      const [first, second] = await endFirst(world, commands);
      await endSecond(world, commands, second);
      await checkKept(world, first, second);
      expect(world.machine.sandboxes()).toEqual([]);
    }, ONE_AT_A_TIME),
  );

test(
  "a run keeps its result files when its sandbox is lost while it is cleared for the next one",
  inWorld(async (world) => {
    world.machine.keepsLast = true;
    const commands = followReuse(world, (process, sandbox) => {
      world.machine.lose(sandbox.id);
      process.break("lost");
    });
    const [first, second] = await endFirst(world, commands);
    await endSecond(world, commands, second);
    await checkKept(world, first, second);
  }, ONE_AT_A_TIME),
);

test.each(["Its sandbox went on to", "It runs in the sandbox of"])(
  "a run keeps its result files when its sandbox is cleared and the hand-over cannot be recorded (%s)",
  (note) =>
    inWorld(async (world) => {
      const commands = followReuse(world, (process) => process.end(exited(0)));
      const { whole } = await world.runtime.sessionJobs(ORCHESTRATOR);
      const { update } = whole;
      let failures = 0;
      Object.assign(whole, {
        update: (jobID: string, change: (job: Job) => Job) =>
          update(jobID, (job) => {
            const changed = change(job);
            if (!changed.notes.join().includes(note) || failures++ > 0) return changed;
            throw new Error("the disk is full");
          }),
      });
      const [first, second] = await endFirst(world, commands);
      await endSecond(world, commands, second);
      expect(failures).toBe(1);
      await world.clock.advance(2 * MIN);
      expect(await readResult(world, first)).toBe("1");
      expect(world.job(second).notes.join()).not.toContain("reuse");
      expect(world.machine.sandboxes()).toEqual([]);
    }, ONE_AT_A_TIME)(),
);

test(
  "the snapshot is on record before a file is removed, and nobody ends the sandbox that is cleared for the next run",
  inWorld(async (world) => {
    let clearing: FakeProcess | undefined;
    const commands = followReuse(world, (process) => {
      clearing = process;
    });
    const [first, second] = await endFirst(world, commands);
    const process = await world.clock.until("its sandbox is being cleared", (): FakeProcess | undefined => clearing);
    expect(storedJob(world, first)).toMatchObject({ state: { kind: "completed" }, sandbox: { kind: "parked" } });
    const other = await world.open();
    expect(await other.collectGarbage()).toMatchObject({ ended: [], parked: [] });
    process.end(exited(0));
    await world.clock.until("the second run has begun", () => commands.runs.length === 2);
    expect(world.operations("create")).toHaveLength(1);
    expect(world.job(first).notes).toEqual([
      expect.stringMatching(/^Its snapshot holds \S+ only/),
      `Its sandbox went on to ${second} (reuse).`,
    ]);
    commands.runs[1]?.end(exited(0));
    await world.reaches(second, "completed");
    expect(await readResult(world, first)).toBe("1");
  }, ONE_AT_A_TIME),
);

const { environments } = optionsSchema.parse({ environments: { default: { volumes: { "/data": "d" } } } });
const WITH_VOLUMES = { ...ONE_AT_A_TIME, environments };

test(
  "a run that gets a sandbox sees what others have committed to its volumes meanwhile",
  inWorld(async (world) => {
    const commands = followReuse(world, (process) => process.end(exited(0)));
    const runsAtReload: number[] = [];
    world.machine.onReload = () => {
      runsAtReload.push(commands.runs.length);
      return { kind: "reloaded" };
    };
    const [, second] = await endFirst(world, commands);
    await endSecond(world, commands, second);
    expect(runsAtReload).toEqual([1]);
    expect(world.operations("create")).toHaveLength(1);
  }, WITH_VOLUMES),
);

test(
  "a sandbox whose volumes cannot be reloaded is not given on, and its run keeps its result files",
  inWorld(async (world) => {
    const commands = followReuse(world, (process) => process.end(exited(0)));
    world.machine.onReload = () => ({ kind: "busy", why: "volume busy" });
    const [first, second] = await endFirst(world, commands);
    await endSecond(world, commands, second);
    expect(world.operations("create")).toHaveLength(2);
    await checkKept(world, first, second);
  }, WITH_VOLUMES),
);
