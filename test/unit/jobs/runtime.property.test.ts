import { expect, test } from "bun:test";
import fc from "fast-check";
import { isHeld } from "../../../src/core/job.ts";
import { cancelJobs } from "../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../src/jobs/actions/message-job.ts";
import { snapshotJob } from "../../../src/jobs/actions/snapshot-job.ts";
import { PluginError } from "../../../src/shared/error-code.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { createInvariantChecker } from "./invariant-checker.ts";
import { ORCHESTRATOR, openWorld, type World } from "./runtime-world.ts";

const MAX_RUNNING_JOBS = 2;

const prompt = fc.constantFrom(
  "say ok",
  "work 300 ok",
  "work 4000 ok",
  "work 30000 ok",
  "fail APIError",
  "failed stop",
  "stop at tools",
  "broken",
  "unknown agent",
  "unknown model",
  "never",
  "refuse",
);
/** Picks one of the existing jobs, by position. */
const which = fc.nat({ max: 7 });
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("start"), prompts: fc.array(prompt, { minLength: 1, maxLength: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("message"), which, prompt, interrupt: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("cancel"), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("snapshot"), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("lose"), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("break creation"), times: fc.integer({ min: 1, max: 4 }), retryable: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("break snapshots") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop events"), drop: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen") }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("pass"), ms: fc.constantFrom(0, 1, 2, 4, 7, 12, 160, 1_000, 6_000, 20_000, 70_000) }) },
); // biome-ignore format: a table
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

/** Ends jobs in all three ways, which few random runs need not do. */
const ALL_ENDS: Event[] = [
  { kind: "start", prompts: ["say ok", "never", "failed stop"] },
  { kind: "pass", ms: 1_000 },
  { kind: "cancel", which: 1 },
];

const LOST_WHILE_PARKED: Event[] = [
  { kind: "start", prompts: ["say ok"] },
  { kind: "pass", ms: 6_000 },
  { kind: "cancel", which: 0 },
  { kind: "lose", which: 0 },
];

/** Applies events to a world. */
function createDriver(world: World, follow: () => Promise<void>) {
  let creationFaults = { left: 0, retryable: false };
  let snapshotFaults = 0;
  const slow = () => new Promise<void>((resolve) => void world.clock.after(3, resolve));
  world.machine.onCreate = async () => {
    await slow();
    if (creationFaults.left-- > 0)
      throw new PluginError("no_capacity", "none", { retryable: creationFaults.retryable });
  };
  world.machine.onSnapshot = async () => {
    await slow();
    if (snapshotFaults-- > 0) throw new PluginError("snapshot_failed", "disk full");
  };
  /** A `PluginError` is a tool's answer to its model, and no failure of the test. */
  const expectOnlyPluginErrors = (call: Promise<unknown>) => {
    call.catch((error) => {
      if (!(error instanceof PluginError)) world.loggedProblems.push(`thrown: ${error}`);
    });
  };

  return async (one: Event): Promise<void> => {
    const jobs = (await world.runtime.sessionJobs(ORCHESTRATOR)).all();
    const id = "which" in one ? jobs[one.which % Math.max(jobs.length, 1)]?.id : undefined;
    if (one.kind === "start") await world.start(...(one as { prompts: string[] }).prompts);
    if (one.kind === "pass") await world.clock.advance((one as { ms: number }).ms);
    if (one.kind === "drop events") world.sessions.dropsEvents = (one as { drop: boolean }).drop;
    if (one.kind === "break creation") {
      const { times, retryable } = one as { times: number; retryable: boolean };
      creationFaults = { left: times, retryable };
    }
    if (one.kind === "break snapshots") snapshotFaults = 1;
    if (one.kind === "reopen") {
      await world.reopen();
      await follow();
    }
    if (id === undefined) return;
    if (one.kind === "cancel") expectOnlyPluginErrors(cancelJobs(world.runtime, ORCHESTRATOR, [id], null));
    if (one.kind === "snapshot")
      expectOnlyPluginErrors(snapshotJob(world.runtime, ORCHESTRATOR, { job: id, label: null, path: null }));
    if (one.kind === "message") {
      const { prompt: message, interrupt } = one as { prompt: string; interrupt: boolean };
      expectOnlyPluginErrors(messageJob(world.runtime, ORCHESTRATOR, { job: id, message, interrupt }));
    }
    const sandbox = jobs.find((job) => job.id === id)?.sandbox;
    const exists = sandbox?.kind === "live" && world.machine.sandboxes().some((it) => it.id === sandbox.id);
    if (one.kind === "lose" && exists) world.machine.lose(sandbox.id);
  };
}

/** Plays the events in a world of their own. Returns how many jobs ended in each state. */
async function play(events: readonly Event[]): Promise<Record<string, number>> {
  const world = await openWorld({ maxRunningJobs: MAX_RUNNING_JOBS });
  const checker = createInvariantChecker(world, MAX_RUNNING_JOBS);
  const counts: Record<string, number> = {};
  try {
    await checker.follow(world.runtime);
    const drive = createDriver(world, () => checker.follow(world.runtime));
    for (const one of events) {
      await drive(one);
      await world.clock.advance(0);
      await checker.checkAtRest();
    }
    world.sessions.dropsEvents = false;
    await world.clock.advance(900_000);
    for (const job of (await world.runtime.sessionJobs(ORCHESTRATOR)).all()) {
      counts[job.state.kind] = (counts[job.state.kind] ?? 0) + 1;
      if (isHeld(job.state)) throw new Error(`${job.id} is still ${job.state.kind}`);
    }
    await checker.checkAtEnd();
    return counts;
  } finally {
    await world.end();
  }
}

test("keeps the invariants of jobs over any sequence of events, and brings every queued job to an end", async () => {
  const ends = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
      for (const kind of Object.keys(await play(events))) ends.add(kind);
    }),
    { numRuns: propertyRuns(150), timeout: 20_000, examples: [[ALL_ENDS], [LOST_WHILE_PARKED]] },
  );
  expect([...ends].sort()).toEqual(["cancelled", "completed", "failed"]);
});

test("stops the turn of a job that is cancelled after a restart, before it is resumed", async () => {
  const counts = await play([
    { kind: "start", prompts: ["say ok", "work 4000 ok"] },
    { kind: "pass", ms: 1_000 },
    { kind: "start", prompts: ["say ok", "say ok", "say ok"] },
    { kind: "reopen" },
    { kind: "start", prompts: ["say ok"] },
    { kind: "cancel", which: 7 },
  ]);
  expect(counts).toEqual({ cancelled: 1, completed: 5 });
});
