import { expect, test } from "bun:test";
import { runTurn, type TurnEnd } from "../../../../src/jobs/execution/turn-runner.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { createHostIds } from "../../../../src/shared/ids.ts";
import { createFakeClock, settle } from "../../../support/fake-clock.ts";
import { createScriptedSessions } from "../../../support/scripted-sessions.ts";

async function openSession() {
  const clock = createFakeClock();
  const sessions = createScriptedSessions(clock);
  const ids = createHostIds(() => clock.now());
  const sessionID = await sessions.create({
    orchestrator: "ses_o",
    jobID: "job_1",
    title: "t",
    agent: "a",
    forbidden: [],
  });
  const abort = new AbortController();
  let reads = 0;
  const begin = (text: string) => {
    let end: TurnEnd | Error | null = null;
    const prompt = { sessionID, messageID: ids("msg"), agent: "nobody", model: "acme/none", text };
    runTurn({ sessions, clock }, prompt, () => reads++, abort.signal).then(
      (value) => {
        end = value;
      },
      (error) => {
        end = error;
      },
    );
    return () => end as TurnEnd | Error | null;
  };
  const run = (text: string, limitMs?: number) => clock.until(`"${text}" ends`, begin(text), limitMs);
  return { clock, sessions, sessionID, abort, begin, run, reads: () => reads };
}

const failure = (end: TurnEnd | Error) => {
  if (end instanceof Error || end.kind !== "failed") throw new Error(`not failed: ${JSON.stringify(end)}`);
  return end.failure;
};

for (const dropsEvents of [false, true]) {
  const how = dropsEvents ? "without a single event" : "with events";
  const open = async () => {
    const opened = await openSession();
    opened.sessions.dropsEvents = dropsEvents;
    return opened;
  };

  test(`reads every ending correctly ${how}`, async () => {
    const { run } = await open();
    expect(await run("say 42")).toEqual({ kind: "done", cut: false, texts: ["42"] });
    expect(await run("work 60000 late")).toMatchObject({ texts: ["late"] });
    expect(await run("cut ha")).toMatchObject({ texts: ["ha"], cut: true });
    expect(await run("steps a||b")).toEqual({ kind: "done", cut: false, texts: ["a", "", "b"] });
    const long = `first${"|".repeat(20)}`; // more messages than a reading has
    expect(await run(`steps ${long}`)).toMatchObject({ texts: ["first", ...Array(20).fill("")] });
    expect(await run("steps then fail a|b")).toMatchObject({ kind: "failed", texts: ["a", "b", null] });
    expect(await run("steps then summary a|b")).toEqual({ kind: "summarized", texts: ["a", "b"] });
    expect(failure(await run("fail APIError"))).toMatchObject({ code: "model_error", retryable: true });
    expect(failure(await run("fail ProviderAuthError")).message).toBe("ProviderAuthError: ProviderAuthError happened");
    expect(failure(await run("failed stop")).code).toBe("model_error");
    expect(failure(await run("stop at tools")).message).toContain("after a tool call");
    expect(failure(await run("broken")).message).toContain("broke off");
    expect(failure(await run("never"))).toMatchObject({ code: "prompt_failed", retryable: true });
    expect(failure(await run("unknown agent")).code).toBe("prompt_failed");
    expect(failure(await run("unknown model")).code).toBe("prompt_failed");
  });
}

test("reports an unknown agent or model within half a second, in the host's words", async () => {
  const { run } = await openSession();
  expect(failure(await run("unknown agent", 500))).toMatchObject({
    message: 'Agent not found: "nobody"',
    retryable: false,
  });
  expect(failure(await run("unknown model", 500))).toMatchObject({ message: "Model not found: acme/none" });
});

test("reads an answer as soon as the session is at rest, and ignores errors of earlier turns", async () => {
  const { run } = await openSession();
  await run("fail APIError");
  expect(await run("say next", 100)).toMatchObject({ texts: ["next"] });
});

test("never ends a turn before its model loop is at rest, so that the next prompt is not lost", async () => {
  const { run, sessions } = await openSession();
  for (const line of ["fail APIError", "failed stop", "say 1", "unknown model", "fail APIError", "say 2"])
    await run(line);
  expect(sessions.lostPrompts).toEqual([]);
});

test("an abort ends the turn as stopped once its model loop is at rest", async () => {
  const { clock, begin, abort, sessions, sessionID } = await openSession();
  const end = begin("hang");
  await clock.advance(1_000);
  expect(end()).toBeNull();
  abort.abort();
  expect(await clock.until("stopped", end, 1_000)).toMatchObject({ kind: "stopped" });
  expect(sessions.aborted).toEqual([sessionID]);
  expect(sessions.running()).toEqual([]);
});

test("stops waiting for an abort without effect after five seconds", async () => {
  const { clock, begin, abort, sessions } = await openSession();
  sessions.onCall = (name) => {
    if (name === "abort") throw new PluginError("cancelled", "cannot abort");
  };
  const end = begin("hang");
  await clock.advance(1_000);
  abort.abort();
  await clock.advance(4_000);
  expect(end()).toBeNull();
  expect(await clock.until("stopped", end, 1_500)).toMatchObject({ kind: "stopped" });
});

test("an answer that comes while the turn is being stopped counts as stopped", async () => {
  const { clock, begin, abort, sessions } = await openSession();
  const end = begin("work 50 done");
  await clock.advance(40);
  sessions.onCall = (name) => {
    if (name === "read") abort.abort();
  };
  expect(await clock.until("an end", end)).toMatchObject({ kind: "stopped" });
});

for (const dropsEvents of [false, true]) {
  test(`a provider that never ends an answer is stopped, ${dropsEvents ? "without a single event" : "with events"}`, async () => {
    const { run, sessions, sessionID } = await openSession();
    sessions.dropsEvents = dropsEvents;
    expect(failure(await run("say for ever The answer is"))).toMatchObject({ code: "model_error", retryable: true });
    expect(sessions.aborted).toEqual([sessionID]);
    expect(sessions.running()).toEqual([]);
  });
}

test("throws when the prompt is rejected", async () => {
  const { run } = await openSession();
  expect(await run("refuse")).toBeInstanceOf(PluginError);
});

test("a few failed reads do not end the turn", async () => {
  const { run, sessions } = await openSession();
  let failing = 3;
  sessions.onCall = (name) => {
    if (name === "read" && failing-- > 0) throw new PluginError("prompt_failed", "socket hang up", { retryable: true });
  };
  expect(await run("work 2000 fine")).toMatchObject({ kind: "done", texts: ["fine"] });
});

test("a session that can no longer be read fails its turn, and its model loop is stopped", async () => {
  const { clock, begin, sessions, sessionID } = await openSession();
  const end = begin("hang");
  await clock.advance(100);
  sessions.onCall = (name) => {
    if (name === "read") throw new PluginError("prompt_failed", "gone", { retryable: true });
  };
  expect(await clock.until("an end", end)).toBeInstanceOf(PluginError);
  expect(sessions.aborted).toEqual([sessionID]);
});

test("a deleted session ends its turn at once, and says that it was deleted", async () => {
  const { clock, begin, sessions, sessionID } = await openSession();
  const end = begin("hang");
  await clock.advance(100);
  sessions.delete(sessionID);
  expect(await clock.until("an end", end, 500)).toMatchObject({
    code: "cancelled",
    message: expect.stringContaining("was deleted"),
  });
});

test("an answer without tools is read once, when its session is at rest; each step before it is read too", async () => {
  const { run, reads } = await openSession();
  await run("say 42");
  expect(reads()).toBe(1);
  await run("steps a|b|c");
  expect(reads()).toBe(1 + 3);
});

test("reads at most once per event, and once in fifteen seconds without events", async () => {
  const { clock, begin, sessions, sessionID, reads } = await openSession();
  begin("hang");
  await clock.advance(100);
  const before = reads();
  for (let i = 0; i < 50; i++) sessions.emit({ kind: "touched", sessionID });
  await settle();
  expect(reads() - before).toBeLessThanOrEqual(2);
  await clock.advance(150_000);
  expect(reads() - before).toBeGreaterThanOrEqual(10);
  expect(reads() - before).toBeLessThanOrEqual(13);
});
