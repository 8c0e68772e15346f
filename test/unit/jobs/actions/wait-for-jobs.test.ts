import { describe, expect, test } from "bun:test";
import type { Job, JobState } from "../../../../src/core/job.ts";
import {
  countJobs,
  decideWait,
  type WaitResult,
  type WaitUntil,
  waitForJobs,
} from "../../../../src/jobs/actions/wait-for-jobs.ts";
import { settle } from "../../../support/fake-clock.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

/** One letter for each state, so that a list of jobs is a short string. */
const KINDS = {
  q: "queued",
  s: "starting",
  r: "running",
  i: "interrupted",
  c: "completed",
  f: "failed",
  x: "cancelled",
};
const jobs = (kinds: string): Job[] =>
  [...kinds].map((kind) => ({ state: { kind: KINDS[kind as keyof typeof KINDS] } as JobState }) as Job);

describe("the decision of a wait", () => {
  const cases: [kinds: string, until: WaitUntil, decision: ReturnType<typeof decideWait>][] = [
    ["", "all", "satisfied"],
    ["", "any", "satisfied"],
    ["cfx", "all", "satisfied"],
    ["cfr", "all", "wait"],
    ["qsr", "any", "wait"],
    ["qsf", "any", "satisfied"],
    ["ccr", 2, "satisfied"],
    ["crr", 2, "wait"],
    ["cc", 5, "satisfied"],
    ["cr", 5, "wait"],
    ["ci", "all", "attention"],
    ["ci", "any", "satisfied"],
    ["i", "any", "attention"],
    ["ir", "any", "wait"],
    ["iir", 2, "attention"],
  ];
  const toldCases: [kinds: string, told: number, until: WaitUntil, decision: ReturnType<typeof decideWait>][] = [
    ["cr", 1, "any", "wait"],
    ["ccr", 1, "any", "satisfied"],
    ["cc", 2, "any", "satisfied"],
    ["ci", 1, "any", "attention"],
    ["ccrr", 1, 2, "satisfied"],
    ["ccrr", 2, 2, "wait"],
    ["cccr", 2, 2, "satisfied"],
    ["ccr", 2, 9, "wait"],
  ];
  for (const [kinds, told, until, decision] of toldCases) {
    test(`for ${until} of the jobs "${kinds}", of which ${told} were told, is ${decision}`, () => {
      expect(decideWait(countJobs(jobs(kinds)), until, told)).toBe(decision);
    });
  }
  for (const [kinds, until, decision] of cases) {
    test(`for ${until} of the jobs "${kinds}" is ${decision}`, () => {
      expect(decideWait(countJobs(jobs(kinds)), until)).toBe(decision);
    });
  }
});

interface WaitOptions {
  until?: WaitUntil;
  jobs?: string[];
  timeoutMs?: number;
  signal?: AbortSignal;
  onProgress?: (current: () => readonly Job[]) => void;
}

/** Begins to wait. `result` is null until the wait has ended. */
function wait({ runtime }: World, { until = "all", timeoutMs = 600_000, jobs, signal, onProgress }: WaitOptions = {}) {
  let result: WaitResult | null = null;
  const request = { jobs, until, timeoutMs, messageID: "msg_5", signal: signal ?? new AbortController().signal };
  const waited = waitForJobs(runtime, ORCHESTRATOR, { ...request, onProgress: onProgress ?? (() => {}) });
  waited.then(
    (value) => {
      result = value;
    },
    () => {}, // a test that expects a failure looks at `waited`
  );
  return { waited, result: () => result as WaitResult | null };
}
const ids = (jobs: readonly Job[]) => jobs.map(({ id }) => id);

test(
  "a wait for any returns when the first job ends, a wait for all when the last one does",
  inWorld(async (world) => {
    const [slow = "", fast = ""] = await world.start("work 5000 slow", "say fast");
    const any = wait(world, { until: "any" });
    const all = wait(world);
    const first = await world.clock.until("the wait for any ends", any.result);
    expect([first.reason, ids(first.finished), ids(first.pending)]).toEqual(["satisfied", [fast], [slow]]);
    expect(all.result()).toBeNull();
    const last = await world.clock.until("the wait for all ends", all.result);
    expect([last.reason, ids(last.finished), ids(last.pending)]).toEqual(["satisfied", [slow, fast], []]);
  }),
);

test(
  "a wait that times out returns its reason, and the jobs go on",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 5000 slow");
    const { result } = wait(world, { timeoutMs: 1_000 });
    expect(await world.clock.until("the wait times out", result)).toMatchObject({ reason: "timeout", finished: [] });
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "slow" });
  }),
);

test(
  "an aborted wait returns at once, even when it was aborted before it began",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const abort = new AbortController();
    const { result } = wait(world, { signal: abort.signal });
    await world.reaches(id, "running");
    abort.abort();
    await settle();
    expect(result()).toMatchObject({ reason: "interrupted" });
    expect((await wait(world, { signal: AbortSignal.abort() }).waited).reason).toBe("interrupted");
    expect(world.job(id).state.kind).toBe("running");
  }),
);

test(
  "a wait reports progress of its own jobs only, and an unknown id is not_found",
  inWorld(async (world) => {
    const [mine = "", other = ""] = await world.start("say 1", "work 500 2");
    const reported = new Set<string>();
    const { result } = wait(world, {
      jobs: [other, other],
      onProgress: (current) => {
        for (const { id } of current()) reported.add(id);
      },
    });
    const { finished } = await world.clock.until("the wait ends", result);
    expect([ids(finished), [...reported]]).toEqual([[other], [other]]);
    expect(await wait(world, { jobs: [mine, "job_unknown"] }).waited.catch((error) => error.code)).toBe("not_found");
  }),
);

describe("a wait while the user writes", () => {
  const write = ({ sessions }: World, messageID: string, sessionID = ORCHESTRATOR) =>
    sessions.emit({ kind: "user_wrote", sessionID, messageID });

  for (const until of ["all", "any", 2] as const) {
    test(
      `for ${until} ends at once, and the jobs go on`,
      inWorld(async (world) => {
        const [a = "", b = ""] = await world.start("work 60000 a", "work 60000 b");
        await world.reaches(b, "running");
        const waits = [wait(world, { until }), wait(world, { until, jobs: [a, b] })];
        const before = world.clock.now();
        write(world, "msg_6");
        for (const { result } of waits) {
          const { reason, userWrote, pending } = await world.clock.until("the wait ends", result);
          expect([reason, userWrote, ids(pending)]).toEqual(["attention", true, [a, b]]);
        }
        expect(world.clock.now() - before).toBeLessThanOrEqual(50);
        expect((await world.reaches(b, "completed")).state).toMatchObject({ result: "b" });
      }),
    );
  }

  test(
    "does not begin when the user wrote before the model made the call, and has read nothing of it",
    inWorld(async (world) => {
      await world.start("work 60000 a");
      write(world, "msg_4"); // begins the model's turn
      const { result } = wait(world);
      await world.clock.advance(1_000);
      expect(result()).toBeNull();
      write(world, "msg_6");
      expect((await wait(world).waited).userWrote).toBe(true);
    }),
  );

  test(
    "is not disturbed by what is written elsewhere, and prefers results",
    inWorld(async (world) => {
      const [id = ""] = await world.start("work 60000 a");
      const { childSession } = await world.reaches(id, "running");
      const { result } = wait(world);
      write(world, "msg_6", childSession ?? "");
      write(world, "msg_6", "ses_other");
      await world.clock.advance(1_000);
      expect(result()).toBeNull();
      await world.reaches(id, "completed");
      write(world, "msg_7");
      expect((await wait(world).waited).reason).toBe("satisfied");
    }),
  );
});

test(
  "a wait ends when its jobs are interrupted, since they do not end by themselves",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const { result } = wait(world);
    await world.reopen();
    expect(result()).toMatchObject({ reason: "attention" });
  }),
);
