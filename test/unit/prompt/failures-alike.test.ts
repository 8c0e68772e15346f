import { expect, test } from "bun:test";
import { renderFailures } from "../../../src/prompt/failures-alike.ts";

const failed = (code: string, messages: readonly string[]) =>
  messages.map((message, n) => ({ id: `job_${code}${n}`, code, message, exitCode: null }));
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

test("runs that were stopped alike are one cause, whatever the ids of what was kept of them", () => {
  const snapshots = ["snap_lvhhebc2z8ot", "snap_ipzabcdefghi", "im-qnJhLBHJVWciSmoNkCdCwg", "im-abcXYZ"];
  const messages = snapshots.map(
    (id) => `It was stopped at its limit. Its files are kept in the snapshot ${id}: start another run from it.`,
  );
  expect(renderFailures(failed("timed_out", messages), 2_000)).toEqual([
    `4 failed alike, timed_out: ${messages[0]} They are job_timed_out0, job_timed_out1, job_timed_out2, job_timed_out3.`,
  ]);
});

test("of those whose causes are too many the codes are told", () => {
  const words = numbers(9).map((n) => `it said ${"x".repeat(n + 1)}`);
  const lines = renderFailures([...failed("command_failed", words), ...failed("sandbox_lost", ["gone"])], 2_000);
  expect(lines).toHaveLength(7);
  expect(lines[6]).toBe(
    "4 failed in other ways (command_failed 3, sandbox_lost): job_command_failed6, job_command_failed7, job_command_failed8, job_sandbox_lost0.",
  );
});
