import { describe, expect, test } from "bun:test";
import { renderLeaderboardView } from "../../../../src/prompt/leaderboard.ts";
import { withLedger } from "../project/ledger-support.ts";

const loss = (value: number) => ({ metrics: { loss: value } });

describe("numbers that cannot be compared any more", () => {
  test(
    "does not rank what was measured before a message woke its job, says so, and ranks it once it is measured again",
    withLedger(async (world) => {
      const agent = { ...loss(9), id: "job_woken", command: null };
      const measured = (value: number, seed: number, turns: number) =>
        world.add({ ...loss(value), command: "eval", measures: { jobID: agent.id, seed, turns } });
      const rows = async () =>
        (await world.list()).views.map(({ job, mean, n, rank, source }) => [job, mean, n, rank, source]);
      world.add({ ...agent, turns: 1 });
      world.add({ ...loss(1), id: "job_other", params: { LR: 1 } });
      world.add({ ...loss(0.8), command: "eval", measures: { jobID: "job_other", turns: 0 } });
      for (const seed of [1, 2]) measured(0.1 * seed, seed, 1);
      expect(await rows()).toMatchObject([
        ["job_woken", expect.closeTo(0.15), 2, 1, "clean"],
        ["job_other", 0.8, 1, 2, "clean"],
      ]);
      world.add({ ...agent, turns: 2 });
      const { views, text } = await world.list();
      expect(views.map(({ job, rank }) => [job, rank])).toEqual([
        ["job_other", 1],
        ["job_woken", undefined],
      ]);
      expect(text).toContain("measured before a message woke their jobs");
      measured(0.3, 2, 1); // begun before the message, ended after it
      expect((await rows())[0]).toMatchObject(["job_other", 0.8, 1, 1, "clean"]);
      measured(0.5, 1, 2);
      expect(await rows()).toMatchObject([
        ["job_woken", 0.5, 1, 1, "clean"],
        ["job_other", 0.8, 1, 2, "clean"],
      ]);
      measured(0.2, 1, 1); // an older one that is written late
      expect((await rows())[0]).toMatchObject(["job_woken", 0.5, 1, 1, "clean"]);
    }),
  );

  test(
    "finds what is outdated also where the file is made anew, and keeps numbers of earlier versions",
    withLedger(async (world) => {
      world.addUntold({ ...loss(9), id: "job_a", command: null, turns: 2 });
      world.addUntold({ ...loss(9), id: "job_b", command: null, turns: 2 });
      world.addUntold({ ...loss(0.1), command: "eval", measures: { jobID: "job_a", turns: 1 } });
      world.addUntold({ ...loss(0.2), command: "eval", measures: { jobID: "job_b", turns: null } });
      world.openSession();
      expect((await world.list()).views.map(({ job, rank }) => [job, rank])).toEqual([
        ["job_b", 1],
        ["job_a", undefined],
      ]);
    }),
  );

  test(
    "ranks by what is final where all that a benchmark has measured is outdated, and shows that as well",
    withLedger(async (world) => {
      const woken = { ...loss(9), id: "job_woken", command: null };
      world.add({ ...woken, turns: 1 });
      world.add({ ...loss(0.1), command: "eval", measures: { jobID: "job_woken", turns: 1 } });
      for (const LR of [1, 2]) world.add({ ...loss(LR), id: `job_of_${LR}`, params: { LR } });
      world.add({ ...woken, turns: 2 });
      const { board, views, text } = await world.list();
      expect(
        board.entries.map(({ view, standing }) => [view.job, view.mean, view.source, view.rank, standing]),
      ).toEqual([
        ["job_of_1", 1, "output", 1, "final"],
        ["job_of_2", 2, "output", 2, "final"],
        ["job_woken", 0.1, "clean", undefined, "outdated"],
        ["job_woken", 9, "reported", undefined, "final"],
      ]);
      expect(text).toContain("3 experiments of this project, over all its sessions, 2 ranked");
      expect(text).toContain(
        "(output), measured by nobody else. Stronger numbers stand below them, as none of these is final.",
      );
      expect(text).toContain("measured before a message woke their jobs");
      expect(text).not.toContain("more experiment");
      expect(renderLeaderboardView(board)).toContain("not ranked **0.1** a try · n 1, clean, outdated · job_woken");
      expect((await world.list({ limit: 2 })).views).toEqual([views[0], views[2]] as typeof views);
    }),
  );
});
