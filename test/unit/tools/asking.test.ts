import { describe, expect, test } from "bun:test";
import { inWorld, ORCHESTRATOR } from "../jobs/runtime-world.ts";
import { createFakeProcess } from "./fake-process.ts";
import { openSeat, openTools } from "./tool-host.ts";

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

describe("asking the host", () => {
  test(
    "is done by every tool of an orchestrator under its own name, before anything else, and by no tool of a job",
    inWorld(async (world) => {
      const { tools, call, asked } = openTools(world);
      expect(new Set([...Object.keys(OF_ORCHESTRATOR), ...Object.keys(OF_JOBS)])).toEqual(new Set(Object.keys(tools)));
      for (const [name, { args, patterns }] of Object.entries(OF_ORCHESTRATOR)) {
        asked.length = 0;
        await call(name, args);
        expect(asked[0]).toMatchObject({ permission: name, patterns, always: ["*"] });
      }
      const { sessionID } = await openSeat(world);
      world.machine.onStart = () => createFakeProcess();
      asked.length = 0;
      for (const [name, args] of Object.entries(OF_JOBS)) await call(name, args, sessionID);
      expect(asked).toEqual([]);
    }),
  );

  test(
    "for GPUs is one question for all of a call, what is wanted being shown meanwhile",
    inWorld(async (world) => {
      const { call, asked, shown, openPictures } = openTools(world);
      const task = (gpu?: string) => ({ description: `on ${gpu} [x](http://y)`, prompt: "hang", gpu });
      await call("agents_start", { tasks: [task("H100:8"), task("none"), task("T4"), task("T4")] });
      expect(asked.map(({ permission, patterns }) => [permission, patterns])).toEqual([
        ["agents_start", ["sandbox_worker"]],
        ["gpu", ["H100:8", "T4"]],
      ]);
      expect(shown[0]?.text.split("\n").slice(0, 2)).toEqual([
        "Wants to start 4 jobs:",
        "- **on H100:8 \\[x\\](http://y)** sandbox_worker - GPU H100:8",
      ]);
      expect(openPictures()).toBe(0);
    }),
  );

  test(
    "that is refused, or never answered because the turn is stopped, starts nothing and leaves no picture",
    inWorld(async (world) => {
      const { tools, openPictures } = openTools(world);
      const args = { tasks: [{ description: "d", prompt: "hang" }] } as never;
      const base = { sessionID: ORCHESTRATOR, messageID: "msg_1", agent: "build" };
      const refusal = new Error("The user rejected permission to use this specific tool call.");
      const refused = { ...base, abort: new AbortController().signal, ask: () => Promise.reject(refusal) };
      await expect(tools.agents_start?.execute(args, refused as never)).rejects.toBe(refusal);
      const stop = new AbortController();
      let answer = () => {};
      const ask = () => new Promise<void>((resolve) => (answer = resolve));
      const open = tools.agents_start?.execute(args, { ...base, abort: stop.signal, ask } as never);
      await world.clock.advance(1_000);
      stop.abort();
      await expect(open).rejects.toThrow(
        "The turn was stopped before anybody had answered whether agents_start is allowed.",
      );
      answer();
      await world.clock.advance(1_000);
      expect(world.sessions.prompts).toEqual([]);
      expect((await world.runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
      expect(openPictures()).toBe(0);
    }),
  );
});
