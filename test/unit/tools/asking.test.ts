import { describe, expect, test } from "bun:test";
import { PermissionRefused } from "../../../src/tools/permission.ts";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { createFakeProcess } from "./fake-process.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

const OF_ORCHESTRATOR: Record<string, { args: object; patterns: string[] }> = {
  agents_start: {
    args: { tasks: [{ description: "a\nb", prompt: "hang" }, 7, { agent: "x\u202ey" }] },
    patterns: ["sandbox_worker", "xy"],
  },
  agents_status: { args: {}, patterns: ["*"] },
  agents_wait: { args: { jobs: ["job_x"] }, patterns: ["job_x"] },
  agents_message: { args: { job: "job_x", message: "m" }, patterns: ["job_x"] },
  agents_cancel: { args: { jobs: ["job_x", "job_y", "job_x"] }, patterns: ["job_x", "job_y"] },
  agents_collect: { args: { job: "job_x" }, patterns: ["job_x"] },
  experiments_list: { args: { metric: "loss" }, patterns: ["loss"] },
  experiments_score: { args: { jobs: ["job_1"] }, patterns: ["job_1"] },
  sandbox_snapshot: { args: { job: "job_x" }, patterns: ["job_x"] },
};
const OF_JOBS: Record<string, object> = {
  sandbox_exec: { command: "ls", background: true },
  sandbox_process: { process: "1" },
  sandbox_read: { path: "a" },
  sandbox_write: { path: "a", content: "" },
  sandbox_edit: { path: "a", old_string: "a", new_string: "b" },
  job_report: { status: "hi" },
  sandbox_snapshot: {},
};

describe("permission", () => {
  test(
    "is required by every tool of an orchestrator, under its own name and before anything else, and by no tool of a job",
    inWorld(async (world) => {
      const { tools, call, asked } = openTools(world);
      expect(new Set([...Object.keys(OF_ORCHESTRATOR), ...Object.keys(OF_JOBS)])).toEqual(
        new Set(tools.map(({ name }) => name)),
      );
      for (const [name, { args, patterns }] of Object.entries(OF_ORCHESTRATOR)) {
        asked.length = 0;
        await call(name, args);
        expect(asked[0]).toMatchObject({ permission: name, patterns });
      }
      const { sessionID } = await openWorker(world);
      world.machine.onStart = () => createFakeProcess();
      asked.length = 0;
      for (const [name, args] of Object.entries(OF_JOBS)) await call(name, args, sessionID);
      expect(asked).toEqual([]);
    }),
  );

  test(
    "for GPUs is one question per call, which shows the tasks while it is open",
    inWorld(async (world) => {
      const { call, asked, shown, openProgress } = openTools(world);
      const task = (gpu?: string) => ({ description: `on ${gpu} [x](http://y)`, prompt: "hang", gpu });
      const ask = async () => {
        await world.clock.advance(100); // as long as no person takes, and no rule
        return "allowed" as const;
      };
      const tasks = [task("H100:8"), task("none"), task("T4"), task("T4")];
      await call("agents_start", { tasks }, ORCHESTRATOR, undefined, ask);
      expect(asked.map(({ permission, patterns }) => [permission, patterns])).toEqual([
        ["agents_start", ["sandbox_worker"]],
        ["gpu", ["H100:8", "T4"]],
      ]);
      expect(shown[0]?.text.split("\n").slice(0, 2)).toEqual([
        "Wants to start 4 jobs:",
        "- **on H100:8 `[x](http://y)`** · sandbox_worker · GPU H100:8",
      ]);
      expect(openProgress()).toBe(0);
    }),
  );

  test(
    "that the user's rules answer shows nothing",
    inWorld(async (world) => {
      const { call, shown } = openTools(world);
      await call("agents_start", { tasks: [{ description: "d", prompt: "hang" }] });
      await world.clock.advance(1_000);
      expect(shown).toEqual([]);
    }),
  );

  test(
    "to message a job shows first whom, what, and the GPU that it wakes on",
    inWorld(async (world) => {
      const { call, shown, asked, openProgress } = openTools(world);
      const [jobID = ""] = await world.start("hang");
      await world.reaches(jobID, "running");
      const ask = async () => {
        await world.clock.advance(100);
        expect(shown.at(-1)?.text).toMatch(/^Wants to send a message to \*\*.+\*\*: go `\[on\]`$/);
        return "allowed" as const;
      };
      await call("agents_message", { job: jobID, message: "go [on]" }, ORCHESTRATOR, undefined, ask);
      expect(asked).toMatchObject([{ permission: "agents_message", patterns: [jobID] }]);
      expect(openProgress()).toBe(0);
    }),
  );

  const args = { tasks: [{ description: "d", prompt: "hang" }] };
  /** Nothing has been started, and nothing is shown any more. */
  async function expectNothing(world: World, openProgress: () => number) {
    await world.clock.advance(1_000);
    expect(world.sessions.prompts).toEqual([]);
    expect((await world.runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
    expect(openProgress()).toBe(0);
  }

  test(
    "that is refused starts nothing, and the refusal is passed to the host",
    inWorld(async (world) => {
      const { call, openProgress } = openTools(world);
      const refused = call("agents_start", args, ORCHESTRATOR, undefined, async () => "refused");
      await expect(refused).rejects.toThrow(PermissionRefused);
      await expectNothing(world, openProgress);
    }),
  );

  test(
    "that nobody can be asked for is answered with what the user can do",
    inWorld(async (world) => {
      const { call, openProgress } = openTools(world);
      const answer = await call("agents_start", args, ORCHESTRATOR, undefined, async () => "cannot_ask");
      expect(errorOf(answer)).toMatchObject({ code: "not_found", message: expect.stringContaining("agents_start") });
      await expectNothing(world, openProgress);
    }),
  );

  for (const late of ["allowed", "cannot_ask"] as const) {
    test(
      `whose question was open when the turn was stopped starts nothing when the answer is ${late}`,
      inWorld(async (world) => {
        const { call, openProgress } = openTools(world);
        const stop = new AbortController();
        const ask = async () => {
          stop.abort();
          return late;
        };
        await expect(call("agents_start", args, ORCHESTRATOR, stop.signal, ask)).rejects.toThrow(
          "The turn was stopped before anybody had answered whether agents_start is allowed.",
        );
        await expectNothing(world, openProgress);
      }),
    );
  }
});
