import { describe, expect, test } from "bun:test";
import { renderJobLine } from "../../../../src/prompt/job-list.ts";
import { viewRecords } from "../../../../src/views/job-view.ts";
import { createFakeProcess, type FakeProcess } from "../../tools/fake-process.ts";
import { gate, inWorld, ORCHESTRATOR, storedJob, type World } from "../runtime-world.ts";
import { sandboxIDOf } from "./lost-sandbox-support.ts";

const stop = { metric: "loss", direction: "min", rungs: [10, 20], keep: 0.5 } as const;
const run = (name: string, more: object = {}) => ({ description: name, command: name, stop, ...more });

/** The commands of runs, by the id of the run; each ends when it is told to. */
function followRuns(world: World): Map<string, FakeProcess> {
  const commands = new Map<string, FakeProcess>();
  world.machine.onStart = ({ env = {} }) => {
    const process = createFakeProcess();
    const { signal } = process;
    commands.set(env.PARALLEL_AGENTS_RUN ?? "", process);
    if (env.PARALLEL_AGENTS_RUN === undefined) process.end({ kind: "exited", code: 0 }); // ends what is left of a try
    return Object.assign(process, {
      async signal(name: Parameters<typeof signal>[0]) {
        await signal(name);
        process.end({ kind: "signalled", signal: name });
      },
    });
  };
  return commands;
}

const runs = async (world: World, commands: ReadonlyMap<string, FakeProcess>, ids: readonly string[]) => {
  await world.clock.until("the commands have started", () => ids.every((id) => commands.has(id)));
  return (id: string, text: string) => {
    commands.get(id)?.print(text);
    return world.clock.advance(500);
  };
};

const stateOf = (world: World, id: string) => world.job(id).state.kind;

describe("early stopping", () => {
  test(
    "ends the run that is worse at a rung at once: its command, its GPU, and with how it lost in the same write",
    inWorld(
      async (world) => {
        const commands = followRuns(world);
        const ids = await world.start(run("a", { gpu: "H100" }), run("b", { gpu: "H100" }), run("c", { gpu: "H100" }));
        const [a = "", b = "", c = ""] = ids;
        const print = await runs(world, commands, [a, b]);
        await print(a, "METRIC loss=1 step=10\n");
        await print(b, "METRIC loss=2 step=9\n");
        expect([stateOf(world, b), stateOf(world, c)]).toEqual(["running", "queued"]);
        await print(b, "METRIC loss=2.5 step=12\n");
        const lost = {
          state: { kind: "cancelled", reason: "stopped early" },
          stopped: { rung: 10, value: 2.5, cut: 1 },
        };
        expect(storedJob(world, b)).toMatchObject({
          ...lost,
          metrics: { loss: { value: 2.5, step: 12, source: "output" } },
        });
        expect(commands.get(b)?.signals).toEqual(["SIGKILL"]);
        await world.clock.until("the next one has its GPU", () => commands.has(c));
        await world.reaches(c, "running");
        expect(stateOf(world, a)).toBe("running");
        const [view] = viewRecords([world.job(b)]);
        expect(view).toMatchObject({ reason: "stopped early", error: { code: "cancelled" } });
        expect(view && renderJobLine(view)).toContain("· stopped early at step 10: loss 2.5, the cut was 1 ·");
      },
      { gpuLimits: { total: 2 } },
      { providerName: "modal" },
    ),
  );

  test(
    "leaves a run that ends by itself before it is stopped: all it prints may come at its end",
    inWorld(async (world) => {
      const commands = followRuns(world);
      const ids = await world.start(run("a"), run("b"), run("c"));
      const [a = "", b = "", c = ""] = ids;
      const print = await runs(world, commands, ids);
      await print(a, "METRIC loss=1 step=10\n");
      for (const [id, code] of [
        [b, 0],
        [c, 3],
      ] as const) {
        commands.get(id)?.print("METRIC loss=2 step=10\nMETRIC loss=2 step=30\n");
        await world.clock.advance(100);
        commands.get(id)?.end({ kind: "exited", code });
      }
      expect((await world.reaches(b, "completed")).stopped).toBeNull();
      expect((await world.reaches(c, "failed")).stopped).toBeNull();
      expect(commands.get(b)?.signals).toEqual([]);
    }),
  );

  test(
    "finds its metric also behind a hundred others",
    inWorld(async (world) => {
      const commands = followRuns(world);
      const ids = await world.start(run("a"), run("b"));
      const print = await runs(world, commands, ids);
      const others = Array.from({ length: 100 }, (_, layer) => `METRIC grad/layer${layer}=1 step=10\n`).join("");
      for (const [index, id] of ids.entries()) await print(id, `${others}METRIC loss=${index} step=10\n`);
      expect(ids.map((id) => stateOf(world, id))).toEqual(["running", "cancelled"]);
      const [a = ""] = ids;
      commands.get(a)?.end({ kind: "exited", code: 0 });
      const { notes, metrics } = await world.reaches(a, "completed");
      expect(metrics.loss?.value).toBe(0);
      expect(notes).toEqual([
        expect.stringContaining("Metrics not kept, because a job has at most 100: grad/layer99."),
      ]);
    }),
  );

  test(
    "compares only runs of one call that name the same rule, and ended ones too",
    inWorld(async (world) => {
      const commands = followRuns(world);
      const ids = await world.start(
        run("a"),
        run("b"),
        run("other", { stop: { ...stop, keep: 0.4 } }),
        run("none", { stop: undefined }),
      );
      const [a = "", b = "", other = "", none = ""] = ids;
      const print = await runs(world, commands, ids);
      await print(a, "METRIC loss=1 step=10\n");
      commands.get(a)?.end({ kind: "exited", code: 0 });
      await world.reaches(a, "completed");
      await print(other, "METRIC loss=9 step=10\n");
      await print(none, "METRIC loss=9 step=10\n");
      await print(b, "METRIC loss=nan step=10\n");
      expect(ids.map((id) => stateOf(world, id))).toEqual(["completed", "cancelled", "running", "running"]);
      expect(world.job(b).stopped).toEqual({ rung: 10, value: "NaN", cut: 1 });
    }),
  );

  test(
    "goes on after a restart of OpenCode: ended runs count, and a run that begins again is judged by what it reports anew",
    inWorld(async (world) => {
      const commands = followRuns(world);
      const ids = await world.start(run("a"), run("b"), run("c"));
      const [a = "", b = "", c = ""] = ids;
      const print = await runs(world, commands, ids);
      await print(a, "METRIC loss=2 step=10\n");
      await print(b, "METRIC loss=3 step=10\n");
      await print(c, "METRIC loss=9 step=5\n");
      expect(stateOf(world, b)).toBe("cancelled");
      commands.get(a)?.end({ kind: "exited", code: 0 });
      await world.reaches(a, "completed");
      commands.get(c)?.end({ kind: "unknown", reason: "its OpenCode has ended" });
      commands.clear();
      await world.reopen();
      const printAgain = await runs(world, commands, [c]);
      await printAgain(c, "METRIC loss=8 step=5\n");
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      expect(sessionJobs.points(c, "loss")).toMatchObject([{ value: 8, step: 5 }]);
      expect(stateOf(world, c)).toBe("running");
      await printAgain(c, "METRIC loss=4 step=10\n");
      expect(storedJob(world, c)).toMatchObject({
        state: { kind: "cancelled" },
        stopped: { rung: 10, value: 4, cut: 3 },
      });
    }),
  );

  type Commands = Map<string, FakeProcess>;
  async function reload(world: World, commands: Commands) {
    commands.clear();
    await world.reopen();
  }
  async function loseSandbox(world: World, commands: Commands, id: string) {
    world.machine.keepsLast = true;
    commands.get(id)?.break("the sandbox ended");
    commands.delete(id);
    world.machine.lose(sandboxIDOf(world, id));
  }
  const BREAKS = { "a reload of OpenCode": reload, "the loss of its sandbox": loseSandbox };
  for (const [what, breakOff] of Object.entries(BREAKS))
    test(
      `does not judge a run again at rungs that it had passed before ${what}, and judges it where it goes on`,
      inWorld(async (world) => {
        const commands = followRuns(world);
        const ids = await world.start(run("slow"), run("b"), run("c"));
        const [slow = "", b = "", c = ""] = ids;
        const print = await runs(world, commands, ids);
        await print(slow, "METRIC loss=9 step=10\n");
        await print(slow, "METRIC loss=0.5 step=20\n");
        await print(b, "METRIC loss=1 step=10\n");
        await print(c, "METRIC loss=1 step=10\n");
        await breakOff(world, commands, slow);
        const printAgain = await runs(world, commands, ids);
        await printAgain(slow, "METRIC lr=1 step=19\n");
        await printAgain(slow, "METRIC loss=0.4 step=22\n"); // from a checkpoint
        expect(ids.map((id) => stateOf(world, id))).toEqual(["running", "running", "running"]);
        await printAgain(b, "METRIC loss=0.1 step=20\n");
        expect(ids.map((id) => stateOf(world, id))).toEqual(["cancelled", "running", "running"]);
        expect(world.job(slow).stopped).toEqual({ rung: 20, value: 0.5, cut: 0.1 });
      }),
    );

  test(
    "judges a run that comes back by those that have reached its rung meanwhile",
    inWorld(async (world) => {
      const commands = followRuns(world);
      const ids = await world.start(run("a"), run("b"));
      const [a = "", b = ""] = ids;
      const print = await runs(world, commands, ids);
      await print(a, "METRIC loss=2 step=10\n");
      const capacity = gate();
      world.machine.onCreate = () => capacity.passed;
      await loseSandbox(world, commands, a);
      await world.clock.advance(5_000);
      await print(b, "METRIC loss=1 step=10\n");
      capacity.open();
      const printAgain = await runs(world, commands, [a]);
      expect(stateOf(world, a)).toBe("running");
      await printAgain(a, "METRIC loss=2 step=11\n");
      expect(world.job(a).stopped).toEqual({ rung: 10, value: 2, cut: 1 });
    }),
  );

  test(
    "counts runs of another OpenCode process of the session, which stops its own ones",
    inWorld(
      async (world) => {
        const commands = followRuns(world);
        const [a = "", b = ""] = await world.start(run("a"), run("b"));
        const print = await runs(world, commands, [a]);
        const other = await world.open({ maxRunningJobs: 2 });
        await other.sessionJobs(ORCHESTRATOR);
        await world.clock.until("the other process runs the second", () => commands.has(b), 600_000);
        expect([world.runtime.runner.isRunning(a), other.runner.isRunning(b)]).toEqual([true, true]);
        await print(a, "METRIC loss=2 step=10\n");
        await world.clock.advance(1_000);
        await print(b, "METRIC loss=1 step=10\n");
        await world.clock.advance(1_000);
        expect(storedJob(world, a).state.kind).toBe("running"); // judged again when it next reports
        await print(a, "METRIC loss=2 step=11\n");
        expect(storedJob(world, a)).toMatchObject({
          state: { kind: "cancelled" },
          stopped: { rung: 10, value: 2, cut: 1 },
        });
        expect(storedJob(world, b).state.kind).toBe("running");
      },
      { maxRunningJobs: 1 },
    ),
  );
});
