import { describe, expect, test } from "bun:test";
import { keysOf, toExperiment } from "../../../../src/core/experiments/experiment.ts";
import type { Params } from "../../../../src/core/run-task.ts";
import { standingWord } from "../../../../src/views/leaderboard.ts";
import { withLedger } from "../project/ledger-support.ts";

const loss = (value: number) => ({ metrics: { loss: value } });

describe("what is compared in a leaderboard", () => {
  test(
    "gives equal numbers one place, names the control as its row does, and tells a cancelled job from a failed one",
    withLedger(async (world) => {
      for (const LR of [1, 2]) world.add({ ...loss(1), params: { LR } });
      for (const [index, value] of [3, 2, 4].entries())
        world.add({ ...loss(value), description: "control", params: { LR: 3, SEED: index } });
      const end = { since: world.clock.now() };
      world.add({ ...loss(0), params: { LR: 4 }, state: { kind: "cancelled", ...end, reason: null } });
      const { board, views } = await world.list();
      expect(views.map(({ rank }) => rank)).toEqual([1, 1, 3, undefined]);
      expect(board.control?.job).toBe(views[2]?.job as string);
      expect(standingWord(board.entries[3] as (typeof board.entries)[0])).toBe("cancelled");
    }),
  );

  test(
    "shows the best with the digits by which the next is another, so that it does not look worse",
    withLedger(async (world) => {
      for (const [index, value] of [1.224365, 1.224365, 1.2243658].entries())
        world.add({ ...loss(value), params: { LR: index } });
      const { text } = await world.list();
      expect([...text.matchAll(/\| (1\.[\d]+) \|/g)].map(([, mean]) => mean)).toEqual([
        "1.224365",
        "1.224365",
        "1.2243658",
      ]);
    }),
  );

  test(
    "keeps to what is called the control when more started from one of its variants",
    withLedger(async (world) => {
      world.add({ ...loss(1), id: "job_base", description: "control" });
      world.add({ ...loss(0.8), id: "job_won", parent: "job_base", snapshotID: "snap_a" });
      for (const LR of [1, 2]) world.add({ ...loss(0.7), parent: "job_won", snapshotID: "snap_b", params: { LR } });
      expect((await world.list()).board.control).toMatchObject({ job: "job_base" });
    }),
  );

  test(
    "keeps to what is called the control when one job started from a variant, and judges by it",
    withLedger(async (world) => {
      for (const [name, value] of Object.entries({ control: 3, "idea A": 2.8, "idea B": 2.9 }))
        for (const SEED of [1, 2, 3])
          world.add({
            ...loss(value + SEED / 1_000),
            id: `${name} ${SEED}`,
            description: name,
            command: name,
            params: { SEED },
          });
      const verdicts = async () => {
        const { board, views } = await world.list();
        const named = views.filter(({ description }) => description !== "A, longer");
        return [board.control?.description, named.map(({ description, verdict }) => [description, verdict])];
      };
      const before = await verdicts();
      expect(before).toEqual([
        "control",
        [
          ["idea A", "better"],
          ["idea B", "better"],
          ["control", null],
        ],
      ]);
      world.add({ ...loss(2.7), description: "A, longer", parent: "idea A 3", snapshotID: "snap_a" });
      expect(await verdicts()).toEqual(before);
    }),
  );

  test(
    "says of seeds that an edit of the project has torn apart why they are several experiments",
    withLedger(async (world) => {
      for (const SEED of [1, 2, 3, 4])
        world.add({
          ...loss(SEED),
          id: `seed_${SEED}`,
          description: "control",
          params: { SEED },
          tree: `tree_${SEED > 2}`,
        });
      const reason = `"control" is 2 experiments (seed_1, seed_3), because the project's files were changed`;
      expect((await world.list()).text).toContain(reason);
      for (const snapshotID of ["snap_a", "snap_b"]) world.add({ ...loss(9), command: "other", snapshotID });
      expect((await world.list()).text.match(/files were changed/g)).toHaveLength(1);
    }),
  );

  test(
    "says how to measure over seeds where those of a description are no variable",
    withLedger(async (world) => {
      for (const seed of [1, 2, 3])
        world.add({ ...loss(seed), description: `control seed ${seed}`, command: `train --seed ${seed}` });
      expect((await world.list()).text).toContain('"matrix": {"SEED": [1, 2, 3]}');
    }),
  );

  test(
    "does not say that nobody measured what another session may have measured",
    withLedger(async (world) => {
      world.add({ ...loss(2), id: "job_theirs" }, "ses_2");
      world.add({ ...loss(1), parent: "job_theirs", snapshotID: "snap_a" });
      expect((await world.list({ scope: "session" })).text).toMatch(
        /"no number":.* in this session\. If another session/,
      );
      expect((await world.list()).text).not.toContain("no number");
    }),
  );

  test(
    "goes on from the job of an experiment that is best on average, and not from the one with the luckiest repeat",
    withLedger(async (world) => {
      const measured = { job_lucky: [0.1, 0.9], job_best: [0.3, 0.4], job_broken: [0.05, "NaN"] } as const;
      for (const [index, [id, values]] of Object.entries(measured).entries()) {
        world.add({ id, params: { SEED: index } });
        for (const [at, value] of values.entries())
          world.add({ metrics: { loss: value }, command: "eval", measures: { jobID: id, seed: at + 1 } });
      }
      expect((await world.list()).views).toMatchObject([{ job: "job_best", n: 3 }]);
    }),
  );

  test(
    "does not mix what a benchmark measured before and after it was changed, nor what it did not declare",
    withLedger(async (world) => {
      world.add({ id: "job_old", params: { LR: 1 } });
      world.add({ id: "job_new", params: { LR: 2 } });
      world.add({ ...loss(0.1), command: "python eval.py --easy", measures: { jobID: "job_old" } });
      world.add({ metrics: { loss: 0.8, extra: 1 }, command: "python eval.py", measures: { jobID: "job_new" } });
      const { views, text, board } = await world.list();
      expect(views.map(({ job, rank }) => [job, rank])).toEqual([
        ["job_new", 1],
        ["job_old", undefined],
      ]);
      expect(text).toContain("measured by another benchmark");
      expect(board.otherMetrics).toEqual([]);
    }),
  );

  test(
    "does not rank numbers beside each other that were measured by other files of the project",
    withLedger(async (world) => {
      for (const [index, evaluation] of ["first", "second", "second"].entries()) {
        const jobID = `job_${"abc"[index]}`;
        world.add({ id: jobID, params: { LR: index } });
        world.add({ ...loss(index), command: "python eval.py", measures: { jobID, evaluation } });
      }
      expect((await world.list()).views.map(({ job, rank }) => [job, rank])).toEqual([
        ["job_b", 1],
        ["job_c", 2],
        ["job_a", undefined],
      ]);
    }),
  );

  test(
    "a metric that only old experiments have is named, found in any case, and may be listed",
    withLedger(async (world) => {
      world.add({ metrics: { BLEU: 30 }, params: { LR: 0 } });
      const names = Array.from({ length: 100 }, (_, index) => `layer_${index}`);
      for (let LR = 1; LR <= 21; LR++)
        world.add({ metrics: Object.fromEntries(names.map((name) => [name, LR])), params: { LR } });
      const { otherMetrics } = (await world.list()).board;
      expect(otherMetrics).toHaveLength(100);
      expect(otherMetrics).toContain("BLEU");
      expect((await world.list({ metric: "bleu" })).views).toMatchObject([{ metric: "BLEU", mean: 30 }]);
    }),
  );

  test(
    "takes the noise from the mean deviation where most experiments have the same number, and says so",
    withLedger(async (world) => {
      for (const [LR, value] of [1, 1, 1, 1.01, 0.2].entries()) world.add({ ...loss(value), params: { LR } });
      world.add({ ...loss(1), description: "the control", params: { LR: 9 } });
      const { views, text } = await world.list();
      expect(views.find(({ mean }) => mean === 1.01)?.verdict).toBe("noise");
      expect(views[0]).toMatchObject({ mean: 0.2, verdict: "better" });
      expect(text).toContain("from the mean absolute deviation (the median one is 0) of 6 experiments");
    }),
  );

  test(
    "shows final numbers before those of failed jobs, and marks these, where nobody said which values are better",
    withLedger(async (world) => {
      world.add({ metrics: { quux: 1 } });
      const failure = { code: "command_failed", message: "x", retryable: false } as const;
      for (const LR of [1, 2, 3])
        world.add({ metrics: { quux: 9 }, params: { LR }, state: { kind: "failed", since: 9, failure } });
      const { board, text } = await world.list({ limit: 2 });
      expect(board.entries.map(({ standing }) => standing)).toEqual(["final", "failed"]);
      expect(text).toMatch(
        /because it is not known which numbers are better:(\n\|.*){3}\nNot ranked, because these jobs failed/,
      );
    }),
  );

  test(
    "are told apart by their numbers, however large these are",
    withLedger(async (world) => {
      for (const [LR, tokens] of [12345678, 12345649].entries())
        world.add({ metrics: { tokens_per_s: tokens }, params: { LR } });
      expect((await world.list()).text).toMatch(/\| 1 \| 12345678 \|(.*\n){1}\| 2 \| 12345649 \| 1 \| {2}\| -29 \|/);
    }),
  );

  test(
    "are said to be more than a call may show where there are",
    withLedger(async (world) => {
      for (let LR = 0; LR < 202; LR++) world.add({ ...loss(LR), params: { LR } });
      expect((await world.list({ limit: 200 })).text).toContain(
        "2 more experiments have this metric; no call shows more than 200.",
      );
      expect((await world.list({ limit: 199 })).text).toContain(
        '3 more experiments have this metric; a larger "limit" shows more.',
      );
    }),
  );
});

test(
  "repeats that are all equal are no noise floor, and nothing is better because of them",
  withLedger(async (world) => {
    for (const SEED of [1, 2, 3]) {
      world.add({ ...loss(0.9), description: "control", params: { SEED } });
      world.add({ ...loss(0.900001), description: "variant", params: { LR: 1, SEED } });
    }
    const { views, board, text } = await world.list({ direction: "max" });
    expect(views.map(({ verdict }) => verdict)).toEqual(["noise", null]);
    expect(board.noise).toMatchObject({ source: "group", n: 2 });
    expect(text).toContain("because the repeats are all equal (does the command use SEED?)");
  }),
);

test(
  "a value that is written as a text is the value that is written as a number: the variable is the same",
  withLedger(async (world) => {
    world.add({ ...loss(1), params: { LR: 0.1, SEED: 1 } });
    world.add({ ...loss(2), params: { LR: "0.1", SEED: "2" } });
    world.add({ ...loss(3), params: { LR: "0.10", SEED: 1 } });
    expect((await world.list()).views.map(({ n }) => n)).toEqual([2, 1]);
    const keysWith = (params: Params) => keysOf(toExperiment(world.job({ params }), {}, null));
    expect(keysWith({ LR: "0.1", SEED: "1" })).toEqual(keysWith({ LR: 0.1, SEED: 1 }));
    expect(keysWith({ LR: "NaN" }).tried).not.toBe(keysWith({ LR: "Infinity" }).tried);
  }),
);

test(
  "the control is what is called so: no run that mentions one, and no member of a sweep",
  withLedger(async (world) => {
    const three = (value: number, description: string, call: string, params: Params = {}, command = description) => {
      for (const SEED of [1, 2, 3])
        world.add({
          ...loss(value + SEED / 100),
          ...{ description: `${description} (${Object.keys({ ...params, SEED })[0]}=…)`, call, command },
          params: { ...params, SEED },
        });
    };
    const control = async () => (await world.list()).board.control?.description ?? null;
    three(0.9, "reward without baseline subtraction", "call_a");
    for (const LR of [1, 2, 3]) three(0.5, "baseline sweep", "call_b", { LR });
    expect(await control()).toBeNull();
    three(0.7, "control", "call_c", { LR: 9 });
    three(0.9, "new reward without baseline subtraction", "call_d");
    world.add({ ...loss(1), description: "the baseline, once", call: "call_e", command: "once" });
    expect(await control()).toBe("control");
    three(0.7, "Baseline 2", "call_f");
    expect(await control()).toBe("Baseline 2");
  }),
);
