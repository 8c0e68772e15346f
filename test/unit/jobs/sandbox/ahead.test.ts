import { describe, expect, test } from "bun:test";
import type { Job } from "../../../../src/core/job.ts";
import { createAhead } from "../../../../src/jobs/sandbox/ahead.ts";
import type { MadeSandbox } from "../../../../src/jobs/sandbox/creation.ts";
import type { JobChange, SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";

import { createFakeClock } from "../../../support/fake-clock.ts";

const queuedRun = (id: string) =>
  ({
    id,
    provider: "local",
    startedBy: null,
    state: { kind: "queued", since: 0 },
    sandbox: { kind: "none" },
    task: { run: { reuse: false, measures: null }, gpu: null, snapshotID: null },
  }) as unknown as Job;

function world(...ids: string[]) {
  const clock = createFakeClock();
  const jobs = new Map(ids.map((id) => [id, queuedRun(id)]));
  const queue = ids.map((jobID) => ({ sessionJobs: { get: (id: string) => jobs.get(id) } as SessionJobs, jobID }));
  const begun: string[] = [];
  const ended: string[] = [];
  const aborted: string[] = [];
  const making = new Map<string, { done(): void; fail(): void }>();
  const dying = new Map<string, () => void>();
  let others = 0;
  let tell: (change: JobChange) => void = () => {};
  const ahead = createAhead({
    queue: () => queue,
    make(_, job, signal) {
      begun.push(job.id);
      signal.addEventListener("abort", () => aborted.push(job.id));
      const { promise, resolve, reject } = Promise.withResolvers<MadeSandbox>();
      const { promise: end, resolve: die } = Promise.withResolvers<null>();
      dying.set(job.id, () => die(null));
      const sandbox = { id: `sbx_${job.id}`, ended: end, terminate: async () => void ended.push(job.id) };
      making.set(job.id, {
        done: () => resolve({ sandbox, notes: [], from: null } as unknown as MadeSandbox),
        fail: () => reject(new Error("the disk is full")),
      });
      return promise;
    },
    others: () => others,
    registry: {
      onChange(listener) {
        tell = listener;
        return () => {};
      },
    },
    clock,
    log: () => {},
  });
  const settle = () => clock.advance(100);
  return {
    ahead,
    clock,
    begun,
    ended,
    aborted,
    settle,
    setOthers: (count: number) => (others = count),
    async look() {
      ahead.look();
      await settle();
    },
    async done(...which: string[]) {
      for (const id of which) making.get(id)?.done();
      await settle();
    },
    async fail(id: string) {
      making.get(id)?.fail();
      await settle();
    },
    async die(id: string) {
      dying.get(id)?.();
      await settle();
    },
    leaves: (id: string) =>
      queue.splice(
        queue.findIndex(({ jobID }) => jobID === id),
        1,
      ),
    async end(id: string) {
      const before = jobs.get(id) as Job;
      const job = { ...before, state: { kind: "cancelled", since: 1 } } as Job;
      jobs.set(id, job);
      tell({ before, job } as JobChange);
      await settle();
    },
  };
}

describe("sandboxes that are made ahead", () => {
  test("are those of the first four of the queue, two at a time", async () => {
    const { begun, look, done } = world("a", "b", "c", "d", "e");
    await look();
    expect(begun).toEqual(["a", "b"]);
    await done("a");
    expect(begun).toEqual(["a", "b", "c"]);
    await done("b", "c", "d");
    expect(begun).toEqual(["a", "b", "c", "d"]);
  });

  test("wait for those of jobs that have started", async () => {
    const { begun, look, setOthers } = world("a", "b");
    setOthers(2);
    await look();
    expect(begun).toEqual([]);
    setOthers(1);
    await look();
    expect(begun).toEqual(["a"]);
  });

  test("are taken by their jobs, and make room for the next", async () => {
    const { ahead, begun, look, done, leaves, settle } = world("a", "b", "c", "d", "e");
    await look();
    await done("a", "b");
    await done("c", "d");
    leaves("a");
    expect(await ahead.take("a")).toMatchObject({ sandbox: { id: "sbx_a" } });
    await settle();
    expect(begun).toEqual(["a", "b", "c", "d", "e"]);
    expect(await ahead.take("a")).toBeNull();
    expect(await ahead.take("unknown")).toBeNull();
  });

  test("are waited for by jobs that start while they are being made", async () => {
    const { ahead, look, done } = world("a");
    await look();
    const taking = ahead.take("a");
    await done("a");
    expect(await taking).toMatchObject({ sandbox: { id: "sbx_a" } });
  });

  test("are ended with their jobs, also while they are being made", async () => {
    const { ended, aborted, look, done, end } = world("a", "b");
    await look();
    await done("a");
    await end("a");
    expect(ended).toEqual(["a"]);
    await end("b");
    expect(aborted).toContain("b");
    await done("b");
    expect(ended).toEqual(["a", "b"]);
  });

  test("are not given to their jobs once they have ended by themselves", async () => {
    const { ahead, ended, look, done, die } = world("a");
    await look();
    await done("a");
    await die("a");
    expect(await ahead.take("a")).toBeNull();
    await ahead.suspend();
    expect(ended).toEqual(["a"]); // what is left of its files goes
  });

  test("are not made for a minute after one could not be made", async () => {
    const { ahead, begun, clock, look, fail, leaves } = world("a", "b", "c");
    await look();
    await fail("a");
    leaves("a");
    expect(await ahead.take("a")).toBeNull();
    await look();
    expect(begun).toEqual(["a", "b"]);
    await clock.advance(60_000);
    await look();
    expect(begun).toContain("c");
  });

  test("are all ended when the host ends, which waits for that", async () => {
    const { ahead, begun, ended, look, done } = world("a", "b", "c");
    await look();
    await done("a");
    const over = ahead.suspend();
    await done("b", "c");
    await over;
    expect(ended.toSorted()).toEqual(["a", "b", "c"]);
    expect(begun).toEqual(["a", "b", "c"]);
    await look();
    expect(begun).toHaveLength(3);
  });
});
