import { describe, expect, test } from "bun:test";
import { withLedger } from "../project/ledger-support.ts";

const loss = (value: number) => ({ metrics: { loss: value } });
const seeds = (values: readonly number[], more: object = {}) =>
  values.map((value, index) => ({
    ...loss(value),
    ...more,
    params: { ...(more as { params?: object }).params, SEED: index + 1 },
  }));

describe("a leaderboard", () => {
  test(
    "takes runs that differ in their seed for one experiment, with mean and deviation",
    withLedger(async (world) => {
      for (const one of seeds([1.0, 1.1, 0.9], { params: { LR: 1 } })) world.add(one);
      for (const one of seeds([0.5, 0.6], { params: { LR: 2 } })) world.add(one);
      const { views, board, text } = await world.list();
      expect(views).toMatchObject([
        { n: 2, params: { LR: 2 }, rank: 1, mean: 0.55 },
        { n: 3, params: { LR: 1 }, rank: 2, mean: 1 },
      ]);
      expect(views[1]?.deviation).toBeCloseTo(0.1, 6);
      expect(views[1]?.deltaBest).toBeCloseTo(0.45, 6);
      expect(board.noise).toMatchObject({ source: "seeds", n: 5 });
      expect(text).toContain("1 ± 0.1");
    }),
  );

  test(
    "does not take runs for one experiment that differ in anything else",
    withLedger(async (world) => {
      world.add({ ...loss(1) });
      world.add({ ...loss(2), command: "python other.py" });
      world.add({ ...loss(3), params: { LR: 1 } });
      world.add({ ...loss(4), tree: "tree_2" });
      world.add({ ...loss(5), snapshotID: "snap_1" });
      world.add({ ...loss(6), gpu: "H100" });
      expect((await world.list()).views.map(({ n }) => n)).toEqual([1, 1, 1, 1, 1, 1]);
    }),
  );

  test(
    "counts a seed that was run again once, by its newest run",
    withLedger(async (world) => {
      for (const value of [9, 2, 4]) world.add({ ...loss(value), params: { SEED: value === 4 ? 2 : 1 } });
      expect((await world.list()).views).toMatchObject([{ n: 2, mean: 3 }]);
    }),
  );

  test(
    "judges against what an experiment started from, by the seeds of the control",
    withLedger(async (world) => {
      const control = seeds([1.0, 1.01, 0.99]).map((one, index) =>
        world.add({ ...one, id: `job_c${index}`, description: "baseline" }),
      );
      const parent = control[0]?.id ?? "";
      const child = (value: number, LR: number) => ({ ...loss(value), parent, snapshotID: "snap_c", params: { LR } });
      world.add({ ...child(0.5, 1), id: "job_better" });
      world.add(child(1.005, 2));
      world.add(child(1.5, 3));
      world.add({ ...child(0, 4), metrics: { loss: "NaN" } });
      const { views, board, text } = await world.list();
      expect(board.noise).toMatchObject({ source: "seeds", n: 3 });
      expect(views.map(({ verdict, rank }) => [verdict, rank])).toEqual([
        ["better", 1],
        [null, 2],
        ["noise", 3],
        ["worse", 4],
        ["worse", 5],
      ]);
      expect(views[0]?.deltaParent).toBeCloseTo(-0.5, 6);
      expect(views[0]).toMatchObject({ parent, job: "job_better" });
      expect(views[4]).toMatchObject({ mean: "NaN" });
      expect(views[4]).not.toHaveProperty("deltaBest");
      expect(text).toContain("deviation over seeds (3 measurements)");
    }),
  );

  test(
    "says parameters once, and where what an experiment started from has no number to compare with",
    withLedger(async (world) => {
      const params = { LR: 1, SEED: 1 };
      world.add({ ...loss(1), parent: "job_silent", params, description: "sweep (LR=1, SEED=1)" });
      world.add({ ...loss(2), id: "job_alone", description: "alone" });
      const { text } = await world.list();
      expect(text).toMatch(/^\| 1 \| 1 \| 1 \| no number \| .*\| "sweep" LR=1 SEED=1 \|$/m);
      expect(text).toMatch(/^\| 2 \| 2 \| 1 \| {2}\| /m);
      expect(text).toContain('vs parent "no number": the job it started from has none');
    }),
  );

  test(
    "uses the median absolute deviation of the group where nothing was measured twice, and says so",
    withLedger(async (world) => {
      world.add({ ...loss(1), description: "the control" });
      for (const [index, value] of [1.01, 0.99, 1.02, 0.2].entries())
        world.add({ ...loss(value), params: { LR: index } });
      const { board, views, text } = await world.list();
      expect(board.noise).toMatchObject({ source: "group", n: 5 });
      expect(views.map(({ verdict }) => verdict)).toEqual(["better", "noise", null, "noise", "noise"]);
      expect(text).toContain("median absolute deviation of 5 experiments");
      expect(text).toContain('the control job_1 "the control"');
    }),
  );

  test(
    "ranks the strongest numbers there are, and says of the weaker ones why they stand below",
    withLedger(async (world) => {
      const honest = world.add({ ...loss(1), id: "job_honest", params: { LR: 1 } });
      world.add({ ...loss(0.1), id: "job_cheat", command: null, description: "too good" });
      world.add({ ...loss(0.5), id: "job_printed", params: { LR: 2 } });
      for (const seed of [1, 2])
        world.add({ ...loss(0.9 + seed / 100), command: "python eval.py", measures: { jobID: honest.id, seed } });
      const { views, text, board } = await world.list();
      expect(views.map(({ job, source, rank, n }) => [job, source, rank, n])).toEqual([
        ["job_honest", "clean", 1, 2],
        ["job_printed", "output", undefined, 1],
        ["job_cheat", "reported", undefined, 1],
      ]);
      expect(views.every(({ job }) => !job.startsWith("job_4"))).toBe(true); // a measurement is no experiment of its own
      expect(board).toMatchObject({ metric: "loss", directionBy: "benchmark", ranked: 1, count: 3 });
      expect(text).toContain("Not ranked, because their numbers are weaker: what the jobs say of themselves");
    }),
  );

  test(
    "ranks by the benchmark that measured last, also where it measured older jobs and fewer of them",
    withLedger(async (world) => {
      const jobs = [1, 2, 3].map((LR) => world.add({ params: { LR } }).id);
      const measure = (command: string, values: readonly number[]) =>
        values.forEach((value, index) => {
          world.add({ ...loss(value), command, measures: { jobID: jobs[index] ?? "" } });
        });
      measure("python old.py", [0.1, 0.2, 0.3]);
      measure("python new.py", [0.9, 0.8]);
      const { views, text } = await world.list();
      expect(views.map(({ mean, rank }) => [mean, rank])).toEqual([
        [0.8, 1],
        [0.9, 2],
        [0.3, undefined],
      ]);
      expect(text).toContain("measured by another benchmark, or by this one before");
      measure("python old.py", [0.4, 0.5]);
      const again = (await world.list({}, "ses_1", "session")).views;
      expect(again.map(({ mean, rank }) => [mean, rank])).toEqual([
        [0.3, 1],
        [0.4, 2],
        [0.5, 3],
      ]);
    }),
  );

  test(
    "a job that was measured without metrics of its own is an experiment once its measurement is recorded on it",
    withLedger(async (world) => {
      world.add({ id: "job_quiet", command: null });
      world.add({ ...loss(0.7), measures: { jobID: "job_quiet" } });
      world.add({ id: "job_quiet", command: null, metrics: { loss: 0.7 }, source: "clean" });
      expect((await world.list()).views).toMatchObject([
        { job: "job_quiet", source: "clean", mean: 0.7, n: 1, rank: 1 },
      ]);
    }),
  );

  test(
    "ranks no number of a job that failed, was stopped early or still runs",
    withLedger(async (world) => {
      world.add({ ...loss(1), params: { LR: 1 } });
      world.add({
        ...loss(0.1),
        params: { LR: 2 },
        state: { kind: "failed", since: 9, failure: { code: "command_failed", message: "1", retryable: false } },
      });
      world.add({ ...loss(0.2), params: { LR: 3 }, state: { kind: "running", since: 9, leaseID: "l" } });
      const { views, text } = await world.list();
      expect(views.map(({ mean, rank }) => [mean, rank])).toEqual([
        [1, 1],
        [0.2, undefined],
        [0.1, undefined],
      ]);
      expect(text).toContain("these jobs failed or were cancelled");
    }),
  );

  test(
    "takes metric and direction of the newest stop rule, else the usual metric and a direction that it says it guessed",
    withLedger(async (world) => {
      world.add({ metrics: { train_loss: 3, val_acc: 0.5, step_ms: 9 } });
      expect((await world.list()).board).toMatchObject({ metric: "val_acc", direction: "max", directionBy: "name" });
      expect((await world.list()).text).toContain("guessed from its name");
      world.add({
        metrics: { train_loss: 2, quux: 7 },
        params: { LR: 2 },
        stop: { metric: "quux", direction: "max", rungs: [1], keep: 0.5 },
      });
      expect((await world.list()).board).toMatchObject({
        metric: "quux",
        direction: "max",
        directionBy: "stop",
        count: 1,
      });
      expect((await world.list({ metric: "TRAIN_LOSS", direction: "max" })).board).toMatchObject({
        metric: "train_loss",
        direction: "max",
        directionBy: "call",
        count: 2,
      });
      expect((await world.list({ metric: "nope" })).text).toContain('has a metric "nope". There are: ');
    }),
  );

  test(
    "ranks nothing by a metric of which nobody said which values are better",
    withLedger(async (world) => {
      world.add({ metrics: { quux: 1 } });
      world.add({ metrics: { quux: 2 }, params: { LR: 2 } });
      const { views, text } = await world.list();
      expect(views.map(({ rank, verdict, direction }) => [rank, verdict, direction])).toEqual([
        [undefined, null, null],
        [undefined, null, null],
      ]);
      expect(text).toContain('pass "direction"');
    }),
  );

  test(
    "shows the project's experiments to all its sessions, or each session its own; a call can only narrow that",
    withLedger(async (world) => {
      for (const one of seeds([1, 2])) world.add(one, "ses_1");
      for (const one of seeds([5])) world.add({ ...one, params: { SEED: 3 } }, "ses_2");
      expect((await world.list({}, "ses_2")).views).toMatchObject([{ n: 3 }]);
      expect((await world.list({ scope: "session" }, "ses_2")).views).toMatchObject([{ n: 1, mean: 5 }]);
      expect((await world.list({ scope: "project" }, "ses_2", "session")).views).toMatchObject([{ n: 1, mean: 5 }]);
      expect((await world.list({}, "ses_3", "session")).board).toMatchObject({ metric: null, scope: "session" });
      const shown = JSON.stringify(await world.list({}, "ses_2"));
      expect(shown).not.toContain("ses_1");
    }),
  );

  test(
    "names a snapshot only while it is there, and of several seeds the best one's",
    withLedger(async (world) => {
      const park = (snapshotID: string) => ({ sandbox: { kind: "parked" as const, snapshotID } });
      for (const [index, one] of seeds([2, 1, 3]).entries()) world.add({ ...one, ...park(`snap_${index}`) });
      expect((await world.list()).views).toMatchObject([{ snapshot: "snap_1", n: 3 }]);
      world.removed.add("snap_1");
      expect((await world.list()).views[0]).not.toHaveProperty("snapshot");
    }),
  );

  test(
    "adds up what an experiment and its measurements cost",
    withLedger(async (world) => {
      world.add({ ...loss(1), id: "job_a", usd: 1, params: { SEED: 1 }, gpu: "H100:2" });
      world.add({ ...loss(2), usd: 2, params: { SEED: 2 }, gpu: "H100:2" });
      world.add({ ...loss(1), usd: 4, command: "eval", measures: { jobID: "job_a" } });
      expect((await world.list()).views).toMatchObject([{ usd: 7 }]);
    }),
  );

  test(
    "stays short however many experiments there are and whatever they are called",
    withLedger(async (world) => {
      const long = `${"ö|\u202e<system>".repeat(200)}`;
      for (let count = 0; count < 201; count++)
        world.add({
          metrics: { loss: count, [`${long}${count}`]: 1, constructor: 2, ["__proto__"]: 3 },
          description: long,
          params: { LR: count, [long]: `${long}${count}` },
        });
      const usual = await world.list({ metric: "loss" });
      expect(Buffer.byteLength(usual.text)).toBeLessThan(8_192);
      expect(usual.text).toContain('181 more experiments have this metric; a larger "limit" shows more.');
      const all = await world.list({ metric: "loss", limit: 200 });
      expect(Buffer.byteLength(all.text)).toBeLessThan(50_000);
      expect(all.text.split("\n").length).toBeLessThan(2_000);
      expect(all.text).toMatch(/\d+ more experiments have this metric; one answer has no room for them\./);
      expect(all.text).not.toContain("\u202e");
      expect((await world.list({ metric: "constructor", direction: "max" })).views[0]).toMatchObject({
        metric: "constructor",
        mean: 2,
      });
      expect((await world.list({ metric: "__proto__", direction: "max" })).views[0]).toMatchObject({
        metric: "__proto__",
        mean: 3,
      });
    }),
  );
});
