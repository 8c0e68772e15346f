import { expect, test } from "bun:test";
import { inWorld, ORCHESTRATOR } from "../jobs/runtime-world.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

const IMPOSSIBLE = [
  ["a\0b", "NUL"],
  ["/etc/\0", "NUL"],
  ["a/".repeat(2_100), "4095"],
  [`x/${"é".repeat(128)}`, "256 bytes"],
  ["\ud800", "half a character"],
] as const;

test(
  "paths that no file can have are refused at once by every tool, with the field's name",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const { jobID, sessionID } = await openWorker(world);
    const touched: string[] = [];
    world.machine.onCall = (what) => void touched.push(what);
    for (const [path, why] of IMPOSSIBLE)
      for (const [tool, field, args] of [
        ["sandbox_read", "path", { path }],
        ["sandbox_write", "path", { path, content: "" }],
        ["sandbox_edit", "path", { path, old_string: "a", new_string: "b" }],
        ["sandbox_snapshot", "path", { path }],
        ["sandbox_exec", "workdir", { command: "ls", workdir: path }],
        ["agents_collect", "into", { job: jobID, mode: "files", into: path }],
        ["agents_collect", "paths[1]", { job: jobID, mode: "files", paths: ["a", path] }],
      ] as const) {
        const answer = await call(tool, args, tool === "agents_collect" ? ORCHESTRATOR : sessionID);
        expect([tool, errorOf(answer)?.code, answer.output]).toEqual([
          tool,
          "invalid_task",
          expect.stringContaining(why),
        ]);
        expect(answer.output).toContain(`${field}: it `);
      }
    const nul = await call("sandbox_exec", { command: "echo a\0b" }, sessionID);
    expect(errorOf(nul)).toMatchObject({ code: "invalid_task", message: expect.stringContaining("command: ") });
    expect(touched).toEqual([]);
  }),
);
