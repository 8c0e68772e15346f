import { expect, test } from "bun:test";
import { followCommand } from "../../../../src/jobs/execution/follow-command.ts";
import type { SandboxProcess } from "../../../../src/sandboxes/port.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { createFakeProcess } from "../../tools/fake-process.ts";

const LOST = { kind: "unknown", reason: "it could not be asked" } as const;

/** Follows a command without a time limit whose sandbox refuses so many signals, until the command's end. */
async function follow(refused: number, status: Parameters<ReturnType<typeof createFakeProcess>["end"]>[0]) {
  const clock = createFakeClock();
  const signals: string[] = [];
  const inner = createFakeProcess();
  const process: SandboxProcess = {
    ...inner,
    async signal(signal) {
      signals.push(signal);
      if (signals.length <= refused) throw new Error("the sandbox cannot be reached");
    },
  };
  const signal = new AbortController().signal;
  const following = followCommand(process, { clock, timeoutMs: null, signal, onOutput: () => {} });
  inner.end(status);
  expect(await following).toEqual({ status, stopped: null });
  return { clock, signals };
}

test("a command whose end could not be learned is killed as soon as its sandbox can be reached", async () => {
  const { clock, signals } = await follow(2, LOST);
  expect(signals).toEqual(["SIGKILL"]);
  await clock.advance(1_000);
  expect(signals).toEqual(["SIGKILL", "SIGKILL"]);
  await clock.advance(60_000);
  expect(signals).toEqual(["SIGKILL", "SIGKILL", "SIGKILL"]);
  await clock.advance(600_000);
  expect(signals.length).toBe(3);
});

test("a command that has ended by itself gets no signal", async () => {
  const { clock, signals } = await follow(0, { kind: "exited", code: 1 });
  await clock.advance(60_000);
  expect(signals).toEqual([]);
});
