import { expect, test } from "bun:test";
import { repeatKey } from "../../../../src/core/repeats.ts";
import type { ToolDeps } from "../../../../src/tools/define-tool.ts";
import { tellingRepeats } from "../../../../src/tools/telling-repeats.ts";
import type { Tool, ToolCall } from "../../../../src/tools/tool.ts";
import { inWorld, type World } from "../runtime-world.ts";

const KEY = repeatKey("sandbox_exec", { command: "cat missing.txt" }, "no such file");

function repeat(world: World, id: string, times: number, key = KEY): void {
  const sessionID = world.job(id).childSession ?? "";
  const seen = { kind: "tool", sessionID, call: "prt_1", tool: "sandbox_exec" } as const;
  for (let made = 0; made < times; made++) {
    world.sessions.emit({ ...seen, running: true });
    world.sessions.emit({ ...seen, running: false, ended: { key, tookMs: 5 } });
  }
}

test(
  "a job that makes one call again and again is stopped, with its files kept",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    repeat(world, id, 59);
    await world.clock.advance(2_000);
    expect(world.job(id).state.kind).toBe("running");
    expect(world.runtime.activity.of(world.job(id).childSession).repeats).toMatchObject({ count: 59 });
    repeat(world, id, 1);
    await world.clock.advance(10_000);
    expect(world.job(id)).toMatchObject({
      state: { kind: "failed", failure: { code: "stalled", retryable: true } },
      sandbox: { kind: "parked" },
    });
  }),
);

test(
  "another answer, and the end of the turn, begin the count anew",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const count = () => world.runtime.activity.of(world.job(id).childSession).repeats?.count ?? 0;
    repeat(world, id, 40);
    repeat(world, id, 1, `${KEY}x`);
    repeat(world, id, 40);
    expect(count()).toBe(40);
    world.sessions.emit({ kind: "touched", sessionID: world.job(id).childSession ?? "" });
    expect(count()).toBe(0);
    repeat(world, id, 40);
    await world.clock.advance(2_000);
    expect(world.job(id).state.kind).toBe("running");
  }),
);

test("the agent is told below the answer that it repeats, and of no other call", async () => {
  const repeats = { tool: "sandbox_exec", key: KEY, count: 29 };
  const runtime = async () => ({ activity: { of: () => ({ repeats }) } });
  const answered = { title: "t", output: "no such file", metadata: {} };
  const tool = { name: "sandbox_exec", description: "", args: {}, run: async () => answered } as Tool;
  const telling = tellingRepeats({ runtime } as unknown as ToolDeps, tool);
  const run = async (command: string) => (await telling.run({ command }, { sessionID: "ses_1" } as ToolCall)).output;
  expect(await run("cat missing.txt")).toMatch(/^no such file\n\[You have made this very call many times/);
  expect(await run("cat other.txt")).toBe("no such file");
});
