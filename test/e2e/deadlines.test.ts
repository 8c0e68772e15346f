import { describe, expect } from "bun:test";
import type { ModelReply } from "../support/model-server.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { call, say, script, scriptedModel } from "../support/scripted.ts";
import type { TestSetup } from "../support/test-setup.ts";
import { ask, cancel, message, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { TURN_EVERY_MS, until } from "../support/wait.ts";

/** Asks until the job at each index has had a reason like this, in whatever order they come: each is there for seconds only. */
async function tellsReasons({ server }: Pick<TestSetup, "server">, session: string, patterns: readonly RegExp[]) {
  const left = new Map(patterns.entries());
  const look = async () => {
    const { jobs } = (await ask(server, session, status())).metadata;
    for (const [index, pattern] of left) if (pattern.test(jobs[index]?.reason ?? "")) left.delete(index);
    return left.size === 0;
  };
  await until(look, {
    what: "both reasons are told",
    everyMs: TURN_EVERY_MS,
    seen: () => [...left.values()].map(String),
  });
}

describe("jobs whose models fail", () => {
  const setup = useProject({ stallTimeoutMinutes: 0.5 });

  sandboxTest(
    "show at once that a model fails or hangs, end with their own codes, and do not delay a sibling",
    async () => {
      const { server, model } = setup;
      model.use((request) => {
        if (request.lastUser.startsWith("always fails")) return { status: 500, headers: { "retry-after": "4" } };
        if (request.lastUser.startsWith("You were stopped because")) return { hang: true };
        return scriptedModel(request);
      });
      const session = await server.createSession();
      const [, first] = await turn(
        server,
        session.id,
        start(
          { description: "fails", prompt: "always fails" },
          task("hangs", shell("echo kept > file"), { hang: true }),
          task("is well", say("fine")),
        ),
        wait({ until: "any" }),
      );
      expect(first?.metadata.finished.map(({ state, result }) => [state, result as string])).toEqual([
        ["completed", "fine"],
      ]);
      await tellsReasons(setup, session.id, [
        /^model retry [1-5] of 5, next in [\d.]+ s: /,
        /^nothing heard from its model for (?:[3-9]|[12]\d) s$/,
      ]);
      const { finished } = (await ask(server, session.id, wait())).metadata;
      expect(finished.map(({ error }) => error?.code as string)).toEqual([
        "model_error",
        "stalled",
        undefined as never,
      ]);
      expect(finished[1]?.snapshot).toStartWith("snap_");
      model.use(scriptedModel);
    },
  );
});

describe("jobs past their time limit", () => {
  const setup = useProject({ jobTimeoutMinutes: 0.7, rescueMinutes: 0.35 });

  sandboxTest("are asked to wrap up, stopped and frozen, and wake with their files for a message", async () => {
    const { server, home, model } = setup;
    model.use((request) =>
      request.lastUser.startsWith("Your time is nearly over") ? say("half of it") : scriptedModel(request),
    );
    const session = await server.createSession();
    const tasks = [
      task("listens", shell("echo kept > file; sleep 25"), say("whole")),
      task("does not", shell("echo kept > file; sleep 600", { timeout_seconds: 900 }), say("never")),
    ];
    const [started, waited] = await turn(server, session.id, start(...tasks), wait());
    const ids = started?.metadata.jobs.map(({ id }) => id) as [string, string];
    const finished = waited?.metadata.finished ?? [];
    for (const job of finished) {
      expect(job).toMatchObject({
        state: "failed",
        error: { code: "timed_out", retryable: true },
        sandbox: "parked",
      });
      expect(job.snapshot).toStartWith("snap_");
    }
    expect(finished[0]?.result).toBe("half of it");
    expect(waited?.output).toContain("half of it");
    await until(() => sandboxesOf(home).length === 0, { what: "their sandboxes are ended" });
    const again = script(shell("cat file"), say("again"));
    const [, , woken] = await turn(server, session.id, message(ids[0], again), message(ids[1], again), wait());
    expect(woken?.metadata.finished).toMatchObject([{ state: "completed" }, { state: "completed" }]);
    for (const job of woken?.metadata.finished ?? []) {
      const [last] = (await server.toolParts(job.sessionID as string, "sandbox_exec")).slice(-1);
      expect(last?.state).toMatchObject({ output: "kept\n[exit code 0]" });
    }
  });
});

describe("jobs that stop every other process in their sandbox", () => {
  const setup = useProject({ maxRunningJobs: 1 });
  const STOP =
    "import os,signal\nwhile not os.path.exists('go'): pass\nwhile True:\n  for p in os.listdir('/proc'):\n    if p.isdigit() and int(p) not in (1, os.getpid()):\n      try: os.kill(int(p), signal.SIGSTOP)\n      except OSError: pass";
  const hostile = (...replies: ModelReply[]) =>
    task(
      "stops all",
      shell(`echo kept > work; python3 -c "${STOP}"`, { background: true }),
      shell("touch go; sleep 600", { timeout_seconds: 2 }),
      ...replies,
    );

  sandboxTest("cannot block commands, collecting, cancelling or the time limit, and release their slot", async () => {
    const { server } = setup;
    const [mine, theirs] = [await server.createSession(), await server.createSession()];
    await ask(server, mine.id, start(hostile(shell("never in", { timeout_seconds: 900 }))));
    await ask(server, theirs.id, start(task("waits", say("its turn"))));
    const running = async () => (await ask(server, mine.id, status())).metadata.jobs.find((one) => one.sessionID);
    const job = await until(running, { what: "it has a session", everyMs: TURN_EVERY_MS });
    const calls = () => server.toolParts(job.sessionID as string, "sandbox_exec");
    await until(async () => (await calls()).length === 3, { what: "a command is held up" });
    expect((await calls())[1]?.state).toMatchObject({ output: expect.stringContaining("stopped after 2 s") });
    const collect = call("agents_collect", { job: job.id, mode: "files", paths: ["work"], into: "kept" });
    const [collected, cancelled] = await turn(server, mine.id, collect, cancel(job.id));
    expect(collected?.metadata).toMatchObject({
      files: [{ path: "work", sizeBytes: 5 }],
      source: { kind: "sandbox" },
    });
    const notes = expect.not.arrayContaining([expect.stringContaining("Not done yet")]);
    expect(cancelled?.metadata.jobs).toMatchObject([{ state: "cancelled", sandbox: "parked", notes }]);
    const { finished } = (await ask(server, theirs.id, wait())).metadata;
    expect(finished).toMatchObject([{ state: "completed", result: "its turn" }]);

    const late = { ...hostile({ hang: true }), timeout_minutes: 0.3 };
    const [, ended] = await turn(server, mine.id, start(late), wait());
    const stopped = { state: "failed", error: { code: "timed_out" }, sandbox: "parked", notes };
    expect(ended?.metadata.finished.at(-1)).toMatchObject(stopped);
  });
});

describe("the budget", () => {
  // A dollar a second for the default core; the rescue of a job is kept free: 24 dollars.
  const setup = useProject({
    prices: { cpuCore: 3600, memoryGiB: 0 },
    budget: { usdPerSession: 56, warnAt: 0.4 },
    rescueMinutes: 0.4,
    checkpointMinutes: null,
  });

  sandboxTest(
    "warns before the budget is spent, then stops jobs with their files kept and refuses new ones; the amounts add up",
    async () => {
      const { server } = setup;
      const session = await server.createSession();
      const toast = server.events.waitFor(
        ({ type, properties }) => type === "tui.toast.show" && JSON.stringify(properties).includes("have spent"),
        { what: "a toast warns" },
      );
      await ask(server, session.id, start(task("a", shell("true"), { hang: true })));
      const [warned, stopped] = await turn(server, session.id, wait(), wait());
      expect(warned?.metadata.reason).toBe("attention");
      expect(warned?.output).toMatch(/^Spent: \$\d+\.\d\d of \$56\.00 \(model \$[\d.]+, compute \$\d+\.\d\d\)/);
      await toast;
      const [job] = stopped?.metadata.finished ?? [];
      expect(job).toMatchObject({ state: "failed", error: { code: "budget_exceeded" }, sandbox: "parked" });
      const late = (await ask(server, session.id, start(task("late", say("no")), task("later", say("no"))))).metadata;
      expect(late.jobs.map(({ state, error }) => [state, error?.code as string])).toEqual([
        ["failed", "budget_exceeded"],
        ["failed", "budget_exceeded"],
      ]);
      const { jobs, spend } = (await ask(server, session.id, status())).metadata;
      const sum = (amounts: number[]) => amounts.reduce((all, one) => all + one, 0);
      expect(sum(jobs.map(({ usd }) => usd.compute))).toBeCloseTo(spend.computeUsd, 2);
      expect(sum(jobs.map(({ usd }) => usd.model))).toBeCloseTo(spend.modelUsd, 2);
      expect(spend.usd).toBeCloseTo(spend.computeUsd + spend.modelUsd, 6);
      expect(spend).toMatchObject({ budgetUsd: 56 });
      expect(spend.usd).toBeGreaterThan(31);
      expect(spend.usd).toBeLessThanOrEqual(56);
    },
  );
});
