import { afterAll, beforeAll, expect } from "bun:test";
import type { ToolPart } from "@opencode-ai/sdk/v2/client";
import type { JobView } from "../../src/views/job-view.ts";
import { creations, type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { answerOf, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";

/* Very many jobs in one batch, on a Modal that takes its time and allows only so many new sandboxes a second. */

const JOBS = 120;
const SLOTS = 100;
/** As by default and at Modal, only three times as many a second; Modal's burst is one that all jobs at once would exceed. */
const OURS = { perSecond: 12, burst: 10 };
const MODALS = { perSecond: 15, burst: 100 };
/** By how long the first creation may be late on a busy machine. */
const LATE_S = 3;
/** OpenCode cuts longer answers. */
const ANSWER_BYTES = 51_200;

const RESOURCE_EXHAUSTED = 8;
const FEW = 25;
const MANY = { maxTasksPerCall: JOBS, maxRunningJobs: SLOTS, budget: { usdPerSession: null } };

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup(
    { ...MANY, modal: { createsPerSecond: OURS.perSecond, createsBurst: OURS.burst } },
    {
      server: {
        profile: "realistic",
        latencySecondMs: 20,
        createsPerSecond: MODALS.perSecond,
        createsBurst: MODALS.burst,
      },
    },
  );
});

afterAll(async () => {
  await setup?.stop();
});

/** Every tenth runs a command: each of those costs this machine a process. */
const tasks = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    task(`job ${n}`, ...(n % 10 === 0 ? [shell(`echo ${n} > own; cat own`)] : []), say(`did ${n}`)),
  );

sandboxTest(
  `${JOBS} jobs in one call all complete, never faster than allowed, and agents_status tells the truth all the while`,
  async () => {
    const { server, modal } = setup;
    const session = await server.createSession();
    const looks = Array.from({ length: 10 }, () => [status(), wait({ timeout_seconds: 1 })]).flat();
    const answers = await turn(server, session.id, start(...tasks(JOBS)), ...looks, wait(), status());
    const jobs = answers.at(-1)?.metadata.jobs ?? [];
    expect(jobs.map(({ state, result, notes }) => [state, result as string, notes.length])).toEqual(
      jobs.map((_, n) => ["completed", `did ${n}`, 0]),
    );
    expect(jobs.length).toBe(JOBS);
    expect(await outputsOf(server, jobs[110], "sandbox_exec")).toEqual([expect.stringMatching(/^110\n/)]);
    await noneLeft(modal);

    const made = await creations(modal);
    // None is refused, so none is made twice; one whose answer is long in coming is asked for again by the same key.
    expect([...new Set(made.map(({ code }) => code))]).toEqual([0]);
    expect((await modal.sandboxes()).length).toBe(JOBS);
    const history = await readHistory();
    const times = [...history.madeAt.values()].sort((a, b) => a - b);
    expect(mostAhead(times, MODALS.perSecond)).toBeLessThanOrEqual(MODALS.burst);
    const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
    expect(seconds).toBeGreaterThan((JOBS - OURS.burst) / OURS.perSecond - LATE_S);

    const seen = await server.toolParts(session.id, "agents_status");
    expect(seen.length).toBe(11);
    expect(seen.flatMap((part) => lies(part, history))).toEqual([]);
    // Which moments the looks hit is up to the machine; they are to begin before the first job has ended.
    const early = seen.map((part) => new Set(answerOf(part).metadata.jobs.map(({ state }) => state as string)));
    expect([...(early[0] ?? [])]).toContain("queued");
    expect([...(early.at(-1) ?? [])]).toEqual(["completed"]);
  },
  480_000,
);

sandboxTest("where Modal allows far less than we take it to, creations are refused and no job fails", async () => {
  const { modal } = setup;
  await modal.setCreationRate(5, 5);
  const before = (await creations(modal)).length;
  const own = await startSetupIn(setup, { ...MANY, modal: { createsPerSecond: 50, createsBurst: 50 } });
  try {
    const session = await own.server.createSession();
    const [, waited] = await turn(own.server, session.id, start(...tasks(FEW)), wait());
    expect(waited?.metadata.finished.map(({ state }) => state)).toEqual(Array(FEW).fill("completed"));
    await noneLeft(modal);
    const made = (await creations(modal)).slice(before);
    expect(made.filter(({ code }) => code === 0).length).toBe(FEW);
    expect(made.some(({ code }) => code === RESOURCE_EXHAUSTED)).toBe(true);
  } finally {
    await own.stop();
  }
});

/** How many creations some stretch of time has beyond those that the rate allows for it. @param times epoch ms, in order */
function mostAhead(times: readonly number[], perSecond: number): number {
  let [ahead, most, last] = [0, 0, times[0] ?? 0];
  for (const at of times) {
    ahead = Math.max(0, ahead - ((at - last) / 1000) * perSecond) + 1;
    most = Math.max(most, ahead);
    last = at;
  }
  return most;
}

/** What the server knows of the jobs' sandboxes. Times in epoch ms, by job. */
interface History {
  readonly madeAt: ReadonlyMap<string, number>;
  readonly endedAt: ReadonlyMap<string, number>;
  readonly images: ReadonlySet<string>;
}

async function readHistory(): Promise<History> {
  const { modal } = setup;
  const jobOf = new Map((await modal.sandboxes()).map(({ id, tags }) => [id, tags.job ?? ""]));
  const tagged = (request: Readonly<Record<string, unknown>>) =>
    (request.tags as { tagName: string; tagValue: string }[]).find(({ tagName }) => tagName === "job")?.tagValue ?? "";
  const ends = (await modal.calls()).filter(({ method }) => method.startsWith("SandboxTerminate"));
  return {
    // The first of each: one whose answer was long in coming was asked again.
    madeAt: new Map((await creations(modal)).toReversed().map(({ request, at }) => [tagged(request), at])),
    endedAt: new Map(ends.toReversed().map(({ request, at }) => [jobOf.get(String(request.sandboxId)) ?? "", at])),
    images: new Set((await modal.images()).map(({ id }) => id)),
  };
}

/**
 * By how much later the server may hear that a sandbox is to end: while it starts the processes of hundreds of others it hears
 * nothing. That it is asked at once is shown where endings are slow (unit/jobs/sandbox/slow-endings).
 */
const PARTING_MS = 20_000;

/** What an answer of agents_status says that was not so at any moment between the call and its answer. */
function lies(part: ToolPart, { madeAt, endedAt, images }: History): string[] {
  const { output, metadata } = answerOf(part);
  const { jobs, pool } = metadata;
  const { start: from = 0, end: to = 0 } =
    "time" in part.state ? (part.state.time as { start: number; end: number }) : {};
  const count = (...states: JobView["state"][]) => jobs.filter(({ state }) => states.includes(state)).length;
  const holds = ({ state, sandbox }: JobView) => state === "starting" || state === "running" || sandbox === "live";
  const isMade = ({ id }: JobView) => (madeAt.get(id) ?? to) < to;
  const wasMade = ({ id }: JobView) => (madeAt.get(id) ?? to) < from;
  // A job is parked once its files are; its sandbox is given up right after.
  const wasLive = (job: JobView) => wasMade(job) && (endedAt.get(job.id) ?? Infinity) >= to + PARTING_MS;
  const isUnmade = ({ state, reason = "" }: JobView) => state === "queued" || reason.startsWith("waiting for its turn");
  const states: JobView["state"][] = ["queued", "starting", "running", "completed"];
  const told = states.filter((state) => count(state) > 0).map((state) => `${count(state)} ${state}`);
  const whole: Record<string, boolean> = {
    [`knows ${jobs.length} jobs`]: jobs.length !== JOBS,
    [`has ${pool.running} of ${pool.limit} slots in use`]: pool.running > SLOTS || pool.limit !== SLOTS,
    [`has ${pool.running} slots in use, and other jobs`]: pool.running !== count("starting", "running"),
    [`has ${pool.queued} queued, and other jobs`]: pool.queued !== count("queued"),
    "has jobs in other states": count(...states) !== JOBS,
    "is too long": Buffer.byteLength(output) >= ANSWER_BYTES,
    [`does not say ${told}`]: told.some((each) => !output.split("\n")[1]?.includes(each)),
    "says other slots": !output.startsWith(`Pool: ${pool.running} of ${SLOTS} slots in use, ${pool.queued} queued.`),
  };
  const single: Record<string, (job: JobView) => boolean> = {
    "had a sandbox already": (job) => isUnmade(job) && wasMade(job),
    "had no sandbox yet": (job) =>
      (job.sandbox === "live" || !["queued", "starting"].includes(job.state)) && !isMade(job),
    "still had its sandbox": (job) => wasLive(job) && !holds(job),
    "was parked nowhere": ({ sandbox, snapshot = "" }) => sandbox === "parked" && !images.has(snapshot),
  };
  return [
    ...Object.keys(whole).filter((what) => whole[what]),
    ...Object.entries(single).flatMap(([what, is]) =>
      jobs.filter(is).map(({ id, state, sandbox, reason }) => `${id} (${state}, ${sandbox}, ${reason}) ${what}`),
    ),
  ];
}
