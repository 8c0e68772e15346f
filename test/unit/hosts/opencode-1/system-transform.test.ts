import { expect, test } from "bun:test";
import { createSystemTransform } from "../../../../src/hosts/opencode-1/system-transform.ts";

const transform = createSystemTransform(
  { jobOf: async (id) => (id === "ses_job" ? { job: "job_1", orchestrator: "ses_o" } : null) },
  { forJob: async ({ job }) => `for ${job}`, forOrchestrator: async () => "for orchestrators" },
);
const HOST = "You are OpenCode. <env>Working directory: /home/ada</env>";

test.each([
  ["a job's session gets its own system text alone", "ses_job", [HOST, "more"], ["for job_1"]],
  ["any other conversation gets the block on delegating besides", "ses_user", [HOST], [HOST, "for orchestrators"]],
  ["a request that is no conversation is left alone", "ses_user", ["Generate a title"], ["Generate a title"]],
  ["a request without a session is left alone", undefined, [HOST], [HOST]],
])("%s", async (_what, sessionID, given, expected) => {
  const system = [...given];
  await transform({ sessionID, model: {} } as never, { system });
  expect(system).toEqual(expected);
});
