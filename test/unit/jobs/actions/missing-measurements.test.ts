import { describe, expect, test } from "bun:test";
import type { JobState } from "../../../../src/core/job.ts";
import { renderLeaderboardView } from "../../../../src/prompt/leaderboard.ts";
import { type LedgerWorld, type Wanted, withLedger } from "../project/ledger-support.ts";

const loss = (value: number | "NaN") => ({ metrics: { loss: value } });
const at = (LR: number, SEED: number): Wanted => ({ params: { LR, SEED } });

const FAILED: JobState = {
  kind: "failed",
  since: 0,
  failure: { code: "command_failed", message: "the command ended with 1", retryable: false },
};
const STOPPED: Wanted = {
  state: { kind: "cancelled", since: 0, reason: "stopped early" },
  stopped: { rung: 1, value: 5, cut: 1 },
};

function addControl(world: LedgerWorld) {
  [0.21, 0.22, 0.23].forEach((value, index) => {
    world.add({ ...loss(value), description: "control", params: { LR: 0.1, SEED: index + 1 } });
  });
}

const rows = async (world: LedgerWorld) =>
  (await world.list()).views.map(({ params, mean, n, missing, verdict }) => [params?.LR, mean, n, missing, verdict]);

describe("measurements that are missing", () => {
  test(
    "does not call a setting better of which seeds failed, and says how many there were",
    withLedger(async (world) => {
      addControl(world);
      for (const seed of [1, 3]) world.add({ ...loss("NaN"), ...at(0.3, seed), state: FAILED });
      world.add({ ...loss(0.1), ...at(0.3, 2) });
      const { board, text } = await world.list();
      expect(await rows(world)).toEqual([
        [0.3, 0.1, 1, { failed: 2 }, null],
        [0.1, expect.closeTo(0.22), 3, undefined, null],
      ]);
      expect(text).toContain("| 1 | 0.1 | 1 of 3 (2 failed) |");
      expect(text).toContain('"better" is not said');
      expect(renderLeaderboardView(board)).toContain("n 1 of 3 (2 failed), output");
      for (const seed of [1, 3]) world.add({ ...loss(0.11), ...at(0.3, seed), call: "call_2" });
      expect((await rows(world))[0]).toEqual([0.3, expect.closeTo(0.107), 3, undefined, "better"]);
      expect((await world.list()).text).not.toContain("is not said");
    }),
  );

  test(
    "says nothing worse of what is compared with the seeds that are left, and goes on from a run that is made again",
    withLedger(async (world) => {
      for (const seed of [1, 2]) world.add({ ...loss(0.2 + seed / 100), description: "control", ...at(0.1, seed) });
      world.add({ description: "control", ...at(0.1, 3), state: FAILED });
      for (const seed of [1, 2, 3]) world.add({ ...loss(0.5 + seed / 100), ...at(0.3, seed) });
      const found = await rows(world);
      expect(found).toEqual([
        [0.1, expect.closeTo(0.215), 2, { failed: 1 }, null],
        [0.3, expect.closeTo(0.52), 3, undefined, null],
      ]);
      expect((await world.list()).text).toContain('nor "worse"');
      world.add({ ...loss(0.23), description: "control", ...at(0.1, 3), call: "call_2" });
      expect((await rows(world)).map((row) => row.at(-1))).toEqual([null, "worse"]);
    }),
  );

  test(
    "takes no noise from the seeds that early stopping has left",
    withLedger(async (world) => {
      addControl(world);
      world.add({ ...loss(0.1), ...at(0.3, 1) });
      world.add({ ...loss(0.1001), ...at(0.3, 2) });
      world.add({ ...loss(5), ...at(0.3, 3), ...STOPPED });
      expect((await rows(world))[0]).toEqual([0.3, expect.closeTo(0.1), 2, { stopped: 1 }, null]);
      const withControl = (await world.list()).board.noise;
      expect(withControl).toMatchObject({ source: "seeds", n: 3 });
      world.add({ ...loss(5), description: "control", ...at(0.1, 4), ...STOPPED });
      const { board, text } = await world.list();
      expect([board.noise, board.cutShort]).toEqual([null, 2]);
      expect(text).toContain("Left out of it: 2 experiments of which early stopping stopped runs");
    }),
  );

  test(
    "counts repeats of a benchmark that brought no value, until they do or the files are others",
    withLedger(async (world) => {
      const measure = (jobID: string, seed: number, more: Wanted = {}) =>
        world.add({ command: "eval", measures: { jobID, seed, turns: 1 }, ...more });
      const control = { ...loss(9), id: "job_control", description: "control", command: null, turns: 1 };
      const agent = { ...loss(9), id: "job_agent", command: null, turns: 1 };
      for (const job of [control, agent]) world.add(job);
      for (const seed of [1, 2, 3]) measure(control.id, seed, loss(0.2 + seed / 100));
      measure(agent.id, 1, loss(0.1));
      for (const seed of [2, 3]) measure(agent.id, seed, { state: FAILED });
      const best = async () => (await rows(world))[0];
      expect(await best()).toEqual([undefined, 0.1, 1, { failed: 2 }, null]);
      measure(agent.id, 2, { state: { kind: "running", since: 9, leaseID: "l" } });
      expect(await best()).toEqual([undefined, 0.1, 1, { failed: 1, running: 1 }, null]);
      for (const seed of [2, 3]) measure(agent.id, seed, loss(0.1));
      expect(await best()).toEqual([undefined, expect.closeTo(0.1), 3, undefined, "better"]);
      measure(agent.id, 4, { state: FAILED });
      world.add({ ...agent, turns: 2 });
      measure(agent.id, 1, { ...loss(0.1), measures: { jobID: agent.id, turns: 2 } });
      expect(await best()).toEqual([undefined, 0.1, 1, undefined, "better"]);
    }),
  );

  test(
    "counts seeds that failed also where a benchmark measured the others, and none that it was not asked to measure",
    withLedger(async (world) => {
      [1, 2, 3].forEach((seed) => {
        world.add({ ...loss(9), ...at(0.3, seed), id: `job_of_${seed}`, ...(seed === 3 && { state: FAILED }) });
      });
      world.add({ ...loss(0.1), command: "eval", measures: { jobID: "job_of_1" } });
      const { views } = await world.list();
      expect(views).toMatchObject([{ source: "clean", n: 1, missing: { failed: 1 } }]);
    }),
  );

  test(
    "counts of one session what that session has, and what still runs or ended without the number",
    withLedger(async (world) => {
      world.add({ ...loss(0.1), ...at(0.3, 1) });
      world.add({ metrics: { acc: 1 }, ...at(0.3, 2) });
      world.add({ ...at(0.3, 3), state: { kind: "running", since: 9, leaseID: "l" } });
      world.add({ ...at(0.3, 4), state: FAILED }, "ses_2");
      expect((await world.list()).text).toContain("1 of 4 (1 failed, 1 running, 1 without a number)");
      expect((await world.list({}, "ses_1", "session")).text).toContain("1 of 3 (1 running, 1 without a number)");
    }),
  );
});
