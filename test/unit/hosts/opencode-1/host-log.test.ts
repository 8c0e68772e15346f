import { expect, test } from "bun:test";
import { hostLog } from "../../../../src/hosts/opencode-1/host-log.ts";

test("a job's text cannot begin a line in OpenCode's log", () => {
  const bodies: unknown[] = [];
  const client = { app: { log: async ({ body }: { body: unknown }) => void bodies.push(body) } };
  const log = hostLog(client as never);
  log("warn", "could not freeze", { reason: "cp: a\nERROR service=default all is lost\u001b[2J", count: 2, at: null });
  expect(bodies).toEqual([
    {
      service: "parallel-agents",
      level: "warn",
      message: "could not freeze",
      extra: { reason: "cp: a ERROR service=default all is lost", count: 2, at: null },
    },
  ]);
});
