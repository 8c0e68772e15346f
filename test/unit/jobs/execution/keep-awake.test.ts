import { expect, test } from "bun:test";
import { keepAwakeWhileWaiting } from "../../../../src/jobs/execution/keep-awake.ts";
import { createWaitingJobs } from "../../../../src/jobs/execution/waiting-jobs.ts";
import type { Sandbox } from "../../../../src/sandboxes/port.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const MINUTE = 60_000;

test("a sandbox is used three times in its idle time while its agent waits, and not before or after", async () => {
  const clock = createFakeClock();
  const commands: (readonly string[])[] = [];
  const sandbox = {
    async start({ argv }: { argv: readonly string[] }) {
      commands.push(argv);
      if (commands.length === 1) throw new Error("one of them fails");
      return { output: (async function* () {})(), exit: Promise.resolve({ kind: "exited", code: 0 }) };
    },
  } as unknown as Sandbox;
  const waiting = createWaitingJobs(() => {});
  const lifecycle = { live: (jobID: string) => (jobID === "job_1" ? sandbox : null) };
  const environments = { short: { idleTimeoutMinutes: 6 }, long: { idleTimeoutMinutes: 20 } };
  keepAwakeWhileWaiting({ waiting, lifecycle, environments, clock, log: () => {} });
  await clock.advance(10 * MINUTE);
  expect(commands).toEqual([]);
  const ends = [waiting.begin("job_1"), waiting.begin("job_1"), waiting.begin("job_without_sandbox")];
  await clock.advance(7 * MINUTE);
  ends[0]?.();
  expect(commands).toEqual([["true"], ["true"], ["true"]]);
  await clock.advance(2 * MINUTE);
  for (const end of ends) end();
  await clock.advance(20 * MINUTE);
  expect(commands).toHaveLength(4);
});
