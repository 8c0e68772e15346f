import { expect, test } from "bun:test";
import { EndWithin, followCommand } from "../../../../src/jobs/execution/follow-command.ts";
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
  expect(await following).toEqual({ status, stopped: null, killedAfterMs: null });
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

/** Follows a command and aborts it with this reason. @param rest whether it leaves something to kill in its group */
function stop(reason: Error | undefined, rest = false) {
  const clock = createFakeClock();
  const process = createFakeProcess();
  const abort = new AbortController();
  const endGroup = async (graceMs: number) => {
    await process.endGroup(graceMs);
    return rest;
  };
  const following = followCommand(
    { ...process, endGroup },
    { clock, timeoutMs: null, signal: abort.signal, onOutput: () => {} },
  );
  abort.abort(reason);
  return { clock, process, following };
}

test("a command that is to stop has the time that the reason gives it, and its end says whether it was killed", async () => {
  const { clock, process, following } = stop(new EndWithin(30_000));
  await clock.advance(29_999);
  expect(process.signals).toEqual(["SIGTERM"]);
  await clock.advance(1);
  expect(process.signals).toEqual(["SIGTERM", "SIGKILL"]);
  process.end({ kind: "signalled", signal: "SIGKILL" });
  expect(await following).toMatchObject({ stopped: "abort", killedAfterMs: 30_000 });
});

test("a command that ends in time was not killed, unless it left something that was", async () => {
  for (const rest of [false, true]) {
    const { clock, process, following } = stop(new EndWithin(30_000), rest);
    await clock.advance(10_000);
    process.end({ kind: "exited", code: 0 });
    expect((await following).killedAfterMs).toBe(rest ? 30_000 : null);
    expect([process.signals, process.groupEnds]).toEqual([["SIGTERM"], [20_000]]);
  }
});

test("a command without such a reason has two seconds, and none where the reason gives none", async () => {
  const { clock, process, following } = stop(undefined);
  await clock.advance(2_000);
  process.end({ kind: "signalled", signal: "SIGKILL" });
  expect((await following).killedAfterMs).toBe(2_000);
  const atOnce = stop(new EndWithin(0));
  expect(atOnce.process.signals).toEqual(["SIGKILL"]);
  atOnce.process.end({ kind: "signalled", signal: "SIGKILL" });
  expect((await atOnce.following).killedAfterMs).toBeNull();
});
