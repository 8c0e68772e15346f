import { describe, expect } from "bun:test";
import { createOwnLimiter } from "../../src/sandboxes/creation-limiter.ts";
import type { CreationStep } from "../../src/sandboxes/creation-steps.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import {
  ALWAYS,
  EXHAUSTED,
  failsWith,
  gpu,
  live,
  modal,
  PRECONDITION,
  provider,
  specOf,
  untilNoneLeft,
  withGpu,
} from "./modal-faults-support.ts";

/* What Modal refuses with RESOURCE_EXHAUSTED, FAILED_PRECONDITION and PERMISSION_DENIED, and how fast it is asked. */

/** Time limits and pauses pass twenty times as fast. */
const quick: Clock = { now: () => systemClock.now() * 20, after: (ms, call) => systemClock.after(ms / 20, call) };
/** Limits for it that ordinary work keeps. */
const limits = { callMs: 600_000, createMs: 600_000, startMs: 600_000, execMs: 600_000 };
const creations = async () =>
  (await modal().calls()).filter(({ method }) => method === "SandboxCreateV2" || method === "SandboxCreate").length;

describe("a refusal for rate is waited for and never becomes an error:", () => {
  const rate = { code: EXHAUSTED, message: "Sandbox creation rate limit (5/s) exceeded" };
  const table: [string, Fault[], boolean?][] = [
    ["of a creation", [{ method: "SandboxCreateV2", ...rate, times: 4 }]],
    ["of a creation with a GPU, which is not tried with another type", [{ method: "SandboxCreate", ...rate, times: 4 }], true],
    ["with a retry policy, in whatever words", [{ method: "SandboxCreateV2", retryAfterSecs: 0.3, message: "slow down", times: 4 }]],
    ["of the app's look-up", [{ method: "AppGetOrCreate", ...rate, times: 2 }]],
    ["of the image's look-up", [{ method: "ImageGetOrCreate", ...rate, times: 2 }]],
  ]; // biome-ignore format: a table
  for (const [title, faults, hasGpu] of table) {
    modalTest(title, async () => {
      await modal().faults.add(...faults);
      const made = await provider({ clock: quick, limits }).create(specOf(hasGpu ? withGpu(gpu("T4")) : {}));
      expect((await modal().faults.left()).length).toBe(0);
      expect((await live()).length).toBe(1);
      await made.terminate();
      await untilNoneLeft();
    });
  }

  for (const more of [rate, { retryAfterSecs: 0.5 }])
    modalTest(`until the job is stopped, ${JSON.stringify(more)}`, async () => {
      await modal().faults.add({ method: "SandboxCreateV2", ...more, times: ALWAYS });
      const stop = new AbortController();
      const creating = failsWith(provider({ clock: quick, limits }).create(specOf(), stop.signal));
      await new Promise((resolve) => setTimeout(resolve, 500));
      stop.abort();
      expect(await creating).toMatchObject({ code: "cancelled" });
      expect(await live()).toEqual([]);
    });
});

modalTest(
  "a refused creation leaves the name free, by which the next process finds what the next one has made",
  async () => {
    await modal().faults.add({ method: "SandboxCreateV2", code: EXHAUSTED, message: "rate limit exceeded", times: 2 });
    await modal().faults.add({
      method: "SandboxCreateV2",
      code: EXHAUSTED,
      message: "Workspace limit of 100 containers",
    });
    const made = await provider({ clock: quick, limits }).create(specOf({ name: "job_refused" }));
    expect((await live()).map(({ name }) => name)).toEqual(["job_refused"]);
    await made.terminate();
    await untilNoneLeft();
  },
);

describe("a refusal that is none for rate has its own meaning:", () => {
  const table: [string, Fault, string, boolean | null, RegExp][] = [
    ["a limit of the workspace", { method: "SandboxCreateV2", code: EXHAUSTED, message: "Workspace limit of 100 containers reached" }, "no_capacity", true, /limit of the Modal workspace.*100 containers/],
    ["an unknown one", { method: "SandboxCreateV2", code: EXHAUSTED, message: "no" }, "no_capacity", true, /limit of the Modal workspace/],
    ["no capacity", { method: "SandboxCreateV2", code: EXHAUSTED, message: "Insufficient capacity in this region" }, "no_capacity", true, /no machine free/],
    ["a spend limit", { method: "SandboxCreateV2", code: EXHAUSTED, message: "workspace billing cycle spend limit reached" }, "sandbox_create_failed", false, /spend limit.*modal\.com/],
    ["a spend limit as a precondition", { method: "SandboxCreateV2", code: PRECONDITION, message: "Workspace budget exceeded" }, "sandbox_create_failed", false, /spend limit/],
    ["a spend limit as a missing permission", { method: "SandboxCreateV2", code: 7, message: "Workspace has exceeded its spending limit" }, "sandbox_create_failed", false, /spend limit/],
    ["a missing permission", { method: "SandboxCreateV2", code: 7, message: "Token lacks permission" }, "sandbox_create_failed", false, /credentials/],
    ["another precondition", { method: "SandboxCreateV2", code: PRECONDITION, message: "Environment is locked" }, "sandbox_create_failed", null, /Environment is locked/],
  ]; // biome-ignore format: a table
  for (const [title, fault, code, retryable, message] of table) {
    modalTest(title, async () => {
      await modal().faults.add({ ...fault, times: ALWAYS });
      const waits = code === "no_capacity" ? { gpuWaitMs: 1500 } : {};
      const error = await failsWith(provider({ limits: waits }).create(specOf()));
      expect(error).toMatchObject({ code, retryable, message: expect.stringMatching(message) });
      await untilNoneLeft();
    });
  }

  modalTest(
    "of a snapshot: a spent budget and an ended sandbox are no expired snapshot, an expired one is",
    async () => {
      const sandbox = await provider().create(specOf());
      const snapshot = await provider().snapshots?.take(await provider().attach(sandbox.id, {}), null);
      const failing = async (message: string) => {
        await modal().faults.add({ method: "SandboxCreateV2", code: PRECONDITION, message });
        return (await failsWith(provider().create(specOf({ snapshotID: snapshot?.id ?? "" })))).code;
      };
      expect(await failing("Workspace budget exceeded")).toBe("sandbox_create_failed");
      expect(await failing("Sandbox has already finished")).toBe("sandbox_create_failed");
      expect(await failing("Environment is locked")).toBe("sandbox_create_failed");
      expect(await failing("Image im-1 has expired")).toBe("snapshot_expired");
    },
  );
});

describe("a limit of the workspace", () => {
  modalTest("is waited for until another sandbox has ended", async () => {
    await modal().setWorkspaceLimit(1);
    try {
      const former = await provider().create(specOf());
      const made = provider({ clock: quick, limits: { ...limits, gpuWaitMs: 20 * 60_000 } });
      const steps: CreationStep[] = [];
      const spec = specOf(withGpu(gpu("T4")));
      const waiting = made.create(spec, undefined, (step) => steps.push(step));
      await until(() => steps.some(({ kind }) => kind === "limited"), { what: "the limit is waited for" });
      expect(steps.find(({ kind }) => kind === "limited")).toMatchObject({
        why: expect.stringMatching(/limit of 1 running/),
      });
      const stop = new AbortController();
      const stopped = failsWith(made.create(specOf(), stop.signal));
      setTimeout(() => stop.abort(), 200);
      expect(await stopped).toMatchObject({ code: "cancelled" });
      await former.terminate();
      expect((await waiting).gpu?.granted).toEqual(gpu("T4"));
    } finally {
      await modal().setWorkspaceLimit(1_000);
    }
  });

  modalTest(
    "fails the creation after modal.gpuWaitMinutes, and at once where the same is asked for again",
    async () => {
      await modal().setWorkspaceLimit(0);
      try {
        const made = provider({ limits: { gpuWaitMs: 800 } });
        const spec = specOf();
        const asksFor = async (more: object) => {
          const before = await creations();
          const error = await failsWith(made.create({ ...spec, ...more }));
          expect(error).toMatchObject({
            code: "no_capacity",
            message: expect.stringMatching(/limit of the Modal workspace/),
          });
          return (await creations()) - before;
        };
        const began = Date.now();
        await asksFor(withGpu(gpu("H100")));
        expect(Date.now() - began).toBeGreaterThanOrEqual(800);
        expect(await asksFor(withGpu(gpu("H200")))).toBe(1);
      } finally {
        await modal().setWorkspaceLimit(1_000);
      }
    },
  );
});

modalTest("creations keep to the rate, and terminations do not wait for it", async () => {
  const clock = createFakeClock();
  const made = provider({ limiter: createOwnLimiter({ perSecond: 4, burst: 2 }, clock) });
  const first = await made.create(specOf());
  const before = await creations();
  const asked = async () => (await creations()) - before;
  const steps: CreationStep[] = [];
  const rest = Array.from({ length: 6 }, () => made.create(specOf(), undefined, (step) => steps.push(step)));
  const waits = () => steps.filter(({ kind }) => kind === "turn");
  await until(() => waits().length === 5, { what: "all but one wait" });
  await first.terminate();
  for (const turn of [1, 2, 3, 4, 5]) {
    await until(async () => (await asked()) >= turn, { what: `creation ${turn} is asked for` });
    expect(await asked()).toBe(turn);
    await clock.advance(250);
  }
  await Promise.all(rest);
  expect([await asked(), waits().length]).toEqual([6, 5]);
  expect(waits()[0]).toEqual({ kind: "turn", since: expect.any(Number), perSecond: 4 });
});
