import { expect, test } from "bun:test";
import { createMeter } from "../../../../src/jobs/sandbox/meter.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import type { Sandbox, SandboxUsage } from "../../../../src/sandboxes/port.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const usageOf = (gpuSeconds: number): SandboxUsage => ({ cpuCoreSeconds: 0, memoryGiBSeconds: 0, gpuSeconds });

/** A meter whose readings are these, one after another; null = it says nothing. */
function open(...readings: (SandboxUsage | null)[]) {
  let asked = 0;
  const counted: number[] = [];
  const sandbox = { id: "sb", usage: async () => readings[asked++] ?? null } as unknown as Sandbox;
  const job = { compute: { since: 0, usd: 0 }, sandbox: { kind: "live", id: "sb" } };
  const sessionJobs = { update: (_: string, change: (job: unknown) => unknown) => change(job) };
  const meter = createMeter({
    limits: {
      meteredUsd: (_, usage) => {
        counted.push(usage.gpuSeconds);
        return null;
      },
    },
    clock: createFakeClock(),
    log: () => {},
  });
  const measure = () => meter.measure(sessionJobs as unknown as SessionJobs, "job", sandbox);
  return { meter, sandbox, measure, counted, asked: () => asked };
}

test("a sandbox that goes to another job is read once: what ends the one's cost begins the other's", async () => {
  const { meter, sandbox, measure, counted, asked } = open(usageOf(5), usageOf(12));
  await meter.beginAnew(sandbox, await measure());
  expect(asked()).toBe(1);
  await measure();
  expect(counted).toEqual([5, 7]);
});

test("a meter that said nothing at the end of one job is asked again for the next", async () => {
  const { meter, sandbox, measure, counted } = open(null, usageOf(6), usageOf(8));
  await meter.beginAnew(sandbox, await measure());
  await measure();
  expect(counted).toEqual([2]);
});
