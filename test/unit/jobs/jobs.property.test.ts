import { expect, test } from "bun:test";
import fc from "fast-check";
import { cancelJobs } from "../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../src/jobs/actions/message-job.ts";
import { snapshotJob } from "../../../src/jobs/actions/snapshot-job.ts";
import { isHeld } from "../../../src/jobs/core/job.ts";
import { PluginError } from "../../../src/shared/error-code.ts";
import { watchJobs } from "./job-invariants.ts";
import { ORCHESTRATOR, openWorld, type World } from "./runtime-world.ts";

const LIMIT = 2;

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
/** Which of the jobs there are. */
const which = fc.nat({ max: 7 });
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("start"), prompts: fc.array(prompt, { minLength: 1, maxLength: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("message"), which, prompt, interrupt: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("cancel"), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("freeze"), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("lose"), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("break creation"), times: fc.integer({ min: 1, max: 4 }), retryable: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("break freezing") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("deaf"), deaf: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen") }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("pass"), ms: fc.constantFrom(0, 1, 2, 4, 7, 12, 160, 1_000, 6_000, 20_000, 70_000) }) },
); // biome-ignore format: a table
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

function createDriver(world: World, follow: () => Promise<void>) {
  let creationFaults = { left: 0, retryable: false };
  let freezingFaults = 0;
  const slow = () => new Promise<void>((resolve) => void world.clock.after(3, resolve));
  world.machine.onCreate = async () => {
    await slow();
    if (creationFaults.left-- > 0)
      throw new PluginError("no_capacity", "none", { retryable: creationFaults.retryable });
  };
  world.machine.onFreeze = async () => {
    await slow();
    if (freezingFaults-- > 0) throw new PluginError("snapshot_failed", "disk full");
  };
  /** What a model would be told is no failure here. */
  const tolerate = (call: Promise<unknown>) => {
    call.catch((error) => {
      if (!(error instanceof PluginError)) world.complaints.push(`thrown: ${error}`);
    });
  };

  return async (one: Event): Promise<void> => {
    const jobs = (await world.runtime.sessionJobs(ORCHESTRATOR)).all();
    const id = "which" in one ? jobs[one.which % Math.max(jobs.length, 1)]?.id : undefined;
    if (one.kind === "start") await world.start(...(one as { prompts: string[] }).prompts);
    if (one.kind === "pass") await world.clock.advance((one as { ms: number }).ms);
    if (one.kind === "deaf") world.sessions.deaf = (one as { deaf: boolean }).deaf;
    if (one.kind === "break creation") {
      const { times, retryable } = one as { times: number; retryable: boolean };
      creationFaults = { left: times, retryable };
    }
    if (one.kind === "break freezing") freezingFaults = 1;
    if (one.kind === "reopen") {
      await world.reopen();
      await follow();
    }
    if (id === undefined) return;
    if (one.kind === "cancel") tolerate(cancelJobs(world.runtime, ORCHESTRATOR, [id], null));
    if (one.kind === "freeze") tolerate(snapshotJob(world.runtime, ORCHESTRATOR, { job: id, label: null, path: null }));
    if (one.kind === "message") {
      const { prompt: message, interrupt } = one as { prompt: string; interrupt: boolean };
      tolerate(messageJob(world.runtime, ORCHESTRATOR, { job: id, message, interrupt }));
    }
    const sandbox = jobs.find((job) => job.id === id)?.sandbox;
    const stands = sandbox?.kind === "live" && world.machine.sandboxes().some((it) => it.id === sandbox.id);
    if (one.kind === "lose" && stands) world.machine.lose(sandbox.id);
  };
}

async function play(events: readonly Event[]): Promise<Record<string, number>> {
  const world = await openWorld({ maxRunningJobs: LIMIT });
  const watch = watchJobs(world, LIMIT);
  const seen: Record<string, number> = {};
  try {
    await watch.follow(world.runtime);
    const drive = createDriver(world, () => watch.follow(world.runtime));
    for (const one of events) {
      await drive(one);
      await world.clock.advance(0);
      await watch.checkAtRest();
    }
    world.sessions.deaf = false;
    await world.clock.advance(900_000);
    for (const job of (await world.runtime.sessionJobs(ORCHESTRATOR)).all()) {
      seen[job.state.kind] = (seen[job.state.kind] ?? 0) + 1;
      if (isHeld(job.state)) throw new Error(`${job.id} is left ${job.state.kind}`);
    }
    await watch.checkAtEnd();
    return seen;
  } finally {
    await world.end();
  }
}

test("the invariants of jobs hold after any sequence of events, and every queued job comes to an end", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
      for (const kind of Object.keys(await play(events))) seen.add(kind);
    }),
    { numRuns: Number(process.env.JOB_RUNS ?? 150), timeout: 20_000 },
  );
  expect([...seen].sort()).toEqual(["cancelled", "completed", "failed"]);
});
