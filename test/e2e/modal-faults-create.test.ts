import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import type { Fault } from "../support/modal-server/faults.ts";
import { type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { ask, cancel, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ modal: { createTimeoutSeconds: 5, gpuWaitMinutes: 0.1 } });
});

afterEach(() => setup.modal.faults.clear());

afterAll(async () => {
  await setup?.stop();
});

/** How often the model of the job of this description was asked. */
const requestsOf = (prompt: string): number =>
  setup.model.requests.filter(
    ({ tools, messages }) => tools.includes("sandbox_exec") && messages.some(({ content }) => content.includes(prompt)),
  ).length;

interface Case {
  readonly faults: readonly Omit<Fault, "method">[];
  /** "ran", or the code the job fails with. */
  readonly end: string;
  readonly says?: RegExp;
  /** Sandboxes the server makes for the one job. Default 1 when it ran, else 0. */
  readonly made?: number;
}

const ALWAYS = { times: 1_000 };

const CASES: Readonly<Record<string, Case>> = {
  "a connection cut once": { faults: [{ code: 14 }], end: "ran" },
  "a connection cut once, after the work": { faults: [{ code: 14, when: "after" }], end: "ran" },
  "a connection cut every time": {
    faults: [{ code: 14, ...ALWAYS }],
    end: "sandbox_create_failed",
    says: /status\.modal\.com/,
  },
  "an internal error every time, after the work": {
    faults: [{ code: 13, when: "after", ...ALWAYS }],
    end: "sandbox_create_failed",
    says: /could not be reached/,
    made: 3,
  },
  "a request to come back later": { faults: [{ retryAfterSecs: 1 }], end: "ran" },
  "a limit of the workspace, once": { faults: [{ code: 8 }], end: "ran" },
  "a limit of the workspace, every time": {
    faults: [{ code: 8, ...ALWAYS }],
    end: "no_capacity",
    says: /maxRunningJobs/,
  },
  "a definition that is not accepted": {
    faults: [{ code: 3, message: "no such region: moon" }],
    end: "sandbox_create_failed",
    says: /no such region: moon/,
  },
  "a right that is missing": {
    faults: [{ code: 7, message: "not yours" }],
    end: "sandbox_create_failed",
    says: /modal setup/,
  },
  "silence, once": { faults: [{ hang: true }], end: "ran" },
  "silence every time": {
    faults: [{ hang: true, ...ALWAYS }],
    end: "sandbox_create_timeout",
    says: /modal\.createTimeoutSeconds/,
  },
  "an answer past its time, once": { faults: [{ delayMs: 8_000, when: "after" }], end: "ran", made: 2 },
  "an answer past its time, every time": {
    faults: [{ delayMs: 8_000, when: "after", ...ALWAYS }],
    end: "sandbox_create_timeout",
    made: 3,
  },
};

for (const [what, { faults, end, says, made = end === "ran" ? 1 : 0 }] of Object.entries(CASES)) {
  sandboxTest(`creation with ${what}: ${end}`, async () => {
    const { server, modal } = setup;
    const session = await server.createSession();
    const before = (await modal.sandboxes()).length;
    await modal.faults.add(...faults.map((fault) => ({ method: "SandboxCreateV2", ...fault })));
    const [, waited] = await turn(
      server,
      session.id,
      start(task(what, shell(`echo ran # ${what}`), say("ran"))),
      wait(),
    );
    const [job] = waited?.metadata.finished ?? [];
    expect(job?.result ?? job?.error?.code).toBe(end);
    if (says) expect(job?.error?.message).toMatch(says);
    // Its model may have been asked meanwhile, and nothing after that.
    if (end === "ran") expect(requestsOf(what)).toBe(2);
    else expect(requestsOf(what)).toBeLessThanOrEqual(1);
    await noneLeft(modal);
    expect((await modal.sandboxes()).length - before).toBe(made);
  });
}

for (const method of [
  "AuthTokenGet",
  "AppGetOrCreate",
  "ImageGetOrCreate",
  "ImageJoinStreaming",
  "SandboxCreate",
  "SandboxGetTaskId",
]) {
  sandboxTest(`creates the first sandbox although ${method} failed once`, async () => {
    const { modal } = setup;
    const own = await startSetupIn(setup, { environments: { default: { image: `python:${method}` } } });
    try {
      const { server } = own;
      const before = (await modal.sandboxes()).length;
      await modal.faults.add({ method, code: 14 });
      const session = await server.createSession();
      const gpu = { ...task("on GPU", shell("echo ran"), say("ran")), gpu: "T4" };
      const [, waited] = await turn(server, session.id, start(gpu), wait());
      expect(waited?.metadata.finished).toMatchObject([{ state: "completed", result: "ran", gpu: "T4" }]);
      expect(await modal.faults.left()).toEqual([]);
      await noneLeft(modal);
      expect((await modal.sandboxes()).length - before).toBe(1);
    } finally {
      await own.stop();
    }
  });
}

sandboxTest("charges a job for a sandbox that booted and let no command run", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  await modal.faults.add({ method: "TaskExecStart", code: 9, ...ALWAYS });
  const run = { description: "refused", command: "true", gpu: "H100:8" };
  await turn(server, session.id, call("agents_start", { tasks: [run] }), wait());
  await modal.faults.clear();
  await noneLeft(modal);
  const [failed] = (await ask(server, session.id, status())).metadata.jobs;
  expect(failed).toMatchObject({ state: "failed" });
  expect(failed?.usd.compute).toBeGreaterThan(0);
});

sandboxTest(
  "ends the sandbox of a job that was cancelled during its creation, even when it arrives later, and keeps its siblings running",
  async () => {
    const { server, modal } = setup;
    const session = await server.createSession();
    await modal.faults.add({ method: "SandboxCreate", delayMs: 60_000, when: "after", ...ALWAYS });
    const late = { ...task("late", say("no")), gpu: "T4" };
    const { metadata } = await ask(server, session.id, start(late, task("sibling", shell("echo ran"), say("ran"))));
    await until(async () => (await modal.sandboxes({ live: true })).some(({ gpu }) => gpu === "T4:1"), {
      what: "it is being made",
    });
    const [, waited] = await turn(server, session.id, cancel(metadata.jobs[0]?.id as string), wait());
    expect(waited?.metadata.finished).toMatchObject([{ state: "cancelled" }, { state: "completed", result: "ran" }]);
    await modal.faults.clear(); // it arrives
    await noneLeft(modal);
  },
);
