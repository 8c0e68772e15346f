import { expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import type { Job } from "../../../../src/core/job.ts";
import { findRepeats } from "../../../../src/jobs/actions/earlier-runs.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { renderRepeats } from "../../../../src/prompt/earlier-runs.ts";
import type { TreeBase } from "../../../../src/workspace/project/capture-tree.ts";
import { type LedgerWorld, type Wanted, withLedger } from "../project/ledger-support.ts";

const QUEUED = { kind: "queued", since: 1 } as const;
const loss = (value: number) => ({ metrics: { loss: value } });

/** Starts runs of one call, whose files are captured while the answer waits. */
async function start(
  world: LedgerWorld,
  wanted: readonly Wanted[],
  { scope = "project" as "project" | "session", session = "ses_1", meanwhile = (_jobs: Map<string, Job>) => {} } = {},
) {
  const jobs = new Map(
    wanted.map((one) => world.add({ state: QUEUED, ...one }, session)).map((job): [string, Job] => [job.id, job]),
  );
  const sessionJobs = {
    orchestrator: session,
    get: (id: string) => jobs.get(id),
    update: (id: string, change: (job: Job) => Job) => void jobs.set(id, change(jobs.get(id) as Job)),
  } as unknown as SessionJobs;
  const bases = new Map([...jobs].map(([id, { base }]) => [id, base]));
  const capture = async (id: string): Promise<TreeBase | null> => {
    meanwhile(jobs);
    await Promise.resolve(); // the ledger writes in the next microtask
    return bases.get(id) ?? null;
  };
  const repeats = await findRepeats(
    {
      options: { ...defaultOptions(world.stateDir), ledger: { scope } },
      ledger: world.ledger,
      trees: { capturing: capture },
      clock: world.clock,
      log: () => {},
    },
    sessionJobs,
    [...jobs.values()].map((job) => ({ ...job, base: null })),
  );
  return {
    repeats,
    notes: [...jobs.values()].map(({ notes }) => notes.join()),
    text: renderRepeats(repeats).join("\n"),
  };
}

test(
  "a run that was run before is named with what came out and when, in the answer and on the job",
  withLedger(async (world) => {
    world.add({ id: "job_old", params: { LR: 1, SEED: 1 }, ...loss(0.25) });
    const { text, notes } = await start(world, [
      { id: "job_new", params: { SEED: 1, LR: 1 } },
      { id: "job_other", params: { LR: 1, SEED: 2 } },
    ]);
    expect(text).toMatch(
      /Run before: job_new "a try" is the same as job_old of \d{4}-\d\d-\d\d \d\d:\d\d UTC \(loss 0\.25\)\./,
    );
    expect(text).not.toContain("job_other");
    expect(notes[0]).toContain("The same was run before");
    expect(notes[1]).toBe("");
  }),
);

test(
  "a run of another call whose files are captured at the same moment is an earlier one as well",
  withLedger(async (world) => {
    world.add({ id: "job_old", state: QUEUED, tree: "not_known_yet" });
    const meanwhile = () => void world.add({ id: "job_old", state: QUEUED });
    expect((await start(world, [{}], { meanwhile })).text).toContain("is the same as job_old");
  }),
);

test(
  "a run is found that was run before on these files, however often it was run on others since and in the same call",
  withLedger(async (world) => {
    world.add({ id: "job_old", ...loss(1) });
    for (let index = 0; index < 25; index++) world.add({ ...loss(2), tree: `tree_of_${index}` });
    const call = Array.from({ length: 25 }, () => ({}));
    const { repeats } = await start(world, call);
    expect(repeats.earlier.map(({ run }) => run.job)).toEqual(call.map(() => "job_old"));
  }),
);

test(
  "of several earlier runs one that has completed is named, else one that goes on, else the newest",
  withLedger(async (world) => {
    const CANCELLED = { kind: "cancelled", since: 1, reason: null } as const;
    const COMPLETED = { kind: "completed", since: 1, result: "" } as const;
    /** Which of earlier runs that came to this is named. */
    const namedOf = async (tree: string, ...states: readonly Job["state"][]) => {
      const ids = states.map((state) => world.add({ tree, state }).id);
      return (await start(world, [{ tree }])).repeats.earlier.map(({ run }) => ids.indexOf(run.job));
    };
    expect(await namedOf("tree_a", COMPLETED, COMPLETED, QUEUED, CANCELLED)).toEqual([1]);
    expect(await namedOf("tree_b", CANCELLED, QUEUED, CANCELLED)).toEqual([1]);
    expect(await namedOf("tree_c", CANCELLED, CANCELLED)).toEqual([1]);
  }),
);

test(
  "other files, another command, environment or parameter is no repeat; how an earlier run failed is said",
  withLedger(async (world) => {
    world.add({ id: "job_old", ...loss(1), tree: "tree_old" });
    world.add({ id: "job_snap", ...loss(1), snapshotID: "snap_1" });
    world.add({
      command: "crash",
      state: { kind: "failed", since: 1, failure: { code: "command_failed", message: "x", retryable: false } },
    });
    const { text } = await start(world, [
      { tree: "tree_new" },
      { command: "b" },
      { params: { A: 1 } },
      { snapshotID: "snap_2" },
    ]);
    expect(text).toBe("");
    expect((await start(world, [{ snapshotID: "snap_1" }])).text).toContain("job_snap");
    expect((await start(world, [{ command: "crash" }])).text).toContain("failed or cancelled");
  }),
);

test(
  "a run on another GPU is no repeat, nor are two of one call on different ones",
  withLedger(async (world) => {
    world.add({ id: "job_small", ...loss(1), gpu: "T4" });
    const { repeats } = await start(world, [{ gpu: "H100" }, { gpu: "T4" }, {}]);
    expect(repeats.earlier.map(({ job, run }) => [job.task.gpu, run.job])).toEqual([["T4", "job_small"]]);
    expect(repeats.within).toEqual([]);
  }),
);

test(
  "a run from a running job is compared by the files it is frozen with, and by none until then",
  withLedger(async (world) => {
    const waiting = { from: { kind: "job", id: "job_live" }, parent: "job_live", tree: null } as const;
    world.add({ id: "job_bare", tree: null });
    world.add({ id: "job_frozen", snapshotID: "snap_1" });
    expect((await start(world, [waiting])).repeats.earlier).toEqual([]);
    const freeze = (jobs: Map<string, Job>) => {
      for (const [id, job] of jobs) jobs.set(id, { ...job, task: { ...job.task, snapshotID: "snap_1" } });
    };
    expect((await start(world, [waiting], { meanwhile: freeze })).text).toContain("is the same as job_frozen");
    world.add({ ...waiting, command: "b" });
    expect((await start(world, [{ command: "b", tree: null }])).repeats.earlier).toEqual([]);
  }),
);

test(
  "runs of one call that are the same are named, with their seed where it collides",
  withLedger(async (world) => {
    const { text, repeats } = await start(world, [
      { id: "job_a", params: { SEED: 7 } },
      { id: "job_b", params: { SEED: 7 } },
      { id: "job_c", params: { SEED: 8 } },
    ]);
    expect(repeats.within).toEqual([{ jobs: ["job_a", "job_b"], seed: "7" }]);
    expect(text).toContain("job_a, job_b, with the same command, parameters and the same seed 7");
  }),
);

test(
  "a session that may see its own experiments only is told of no other session's runs",
  withLedger(async (world) => {
    world.add({ ...loss(1) }, "ses_2");
    expect((await start(world, [{}])).repeats.earlier).toHaveLength(1);
    world.add({ ...loss(1), command: "x" }, "ses_2");
    expect((await start(world, [{ command: "x" }], { scope: "session" })).repeats.earlier).toEqual([]);
  }),
);

test(
  "hundreds of repeats are a few lines",
  withLedger(async (world) => {
    const many = Array.from({ length: 300 }, (_, LR) => ({ params: { LR } }));
    for (const one of many) world.add({ ...one, ...loss(1) });
    const { text, repeats } = await start(world, many);
    expect(repeats.earlier).toHaveLength(300);
    expect(text).toContain("290 more runs were run before");
    expect(Buffer.byteLength(text)).toBeLessThan(4_000);
  }),
);
