import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { ledgerFile, openExperimentStore } from "../../../../src/jobs/store/experiment-store.ts";
import { openLedgerWorld, withLedger } from "./ledger-support.ts";

const PROJECT = "0123456789abcdef";
const loss = (value: number) => ({ metrics: { loss: value } });

describe("the ledger", () => {
  test(
    "keeps what was tried and what came out, and no prompt, output, session or path of the user's",
    withLedger(async (world) => {
      world.add({ description: "first", params: { LR: 0.1, SEED: 1 }, ...loss(2), usd: 0.5 });
      world.add({ command: null, description: "an agent", ...loss(3) });
      const { views } = await world.list();
      expect(views).toMatchObject([
        { description: "first", metric: "loss", direction: "min", mean: 2, n: 1, source: "output", rank: 1, usd: 0.5 },
        { description: "an agent", mean: 3, source: "reported" },
      ]);
      expect(views[1]).not.toHaveProperty("rank");
      await world.ledger.close();
      const bytes = readFileSync(ledgerFile(world.stateDir, PROJECT), "latin1");
      expect(bytes).not.toContain("secret");
      expect(statSync(ledgerFile(world.stateDir, PROJECT)).mode & 0o777).toBe(0o600);
    }),
  );

  test(
    "a job without metrics that is no run, and a run that was refused, are no experiments",
    withLedger(async (world) => {
      world.add({ command: null });
      world.add({
        state: { kind: "failed", since: 1, failure: { code: "invalid_task", message: "no", retryable: false } },
      });
      expect((await world.list()).board).toMatchObject({ metric: null });
    }),
  );

  test(
    "other processes see a job's end at once, and what happens to it before within a second",
    withLedger(async (world) => {
      world.add({ id: "job_a", state: { kind: "queued", since: 1 } });
      await world.list();
      const other = await openExperimentStore(ledgerFile(world.stateDir, PROJECT));
      const seen = async () => {
        await world.clock.advance(0);
        return other.experiment("job_a")?.state;
      };
      world.add({ id: "job_a", state: { kind: "running", since: 5, leaseID: "l" } });
      expect(await seen()).toBe("queued");
      await world.clock.advance(1_000);
      expect(await seen()).toBe("running");
      world.add({ id: "job_a", ...loss(1) });
      expect(await seen()).toBe("completed");
      other.close();
    }),
  );

  test(
    "what was not written when the process died is written when the session is opened, and nothing twice",
    withLedger(async (world) => {
      const job = world.add({ id: "job_a", state: { kind: "running", since: 5, leaseID: "l" }, metrics: { loss: 9 } });
      await world.list();
      await world.reopen();
      world.addUntold({ id: "job_a", ...loss(1) });
      world.addUntold({ id: "job_b", ...loss(2), params: { LR: 2 } });
      expect((await world.list()).views.map(({ mean }) => mean)).toEqual([9]);
      for (let again = 0; again < 3; again++) world.openSession();
      expect((await world.list()).views.map(({ job, mean, n, rank }) => [job, mean, n, rank])).toEqual([
        [job.id, 1, 1, 1],
        ["job_b", 2, 1, 2],
      ]);
    }),
  );

  test(
    "a damaged file is set aside and named, and what the project's sessions know is written anew",
    withLedger(async (world) => {
      world.add({ ...loss(1) });
      world.add({ ...loss(2), params: { LR: 2 } }, "ses_2");
      await world.list();
      await world.ledger.close();
      writeFileSync(ledgerFile(world.stateDir, PROJECT), "this is no database".repeat(1000));
      await world.reopen();
      await world.list();
      expect(world.ledger.problems().join()).toContain("set aside as");
      expect((await world.list()).views.map(({ mean }) => mean)).toEqual([1, 2]);
    }),
  );

  test(
    "a file that is deleted under the process is made anew with all that the sessions know",
    withLedger(async (world) => {
      world.add({ ...loss(1) });
      await world.list();
      for (const suffix of ["", "-wal", "-shm"]) rmSync(ledgerFile(world.stateDir, PROJECT) + suffix, { force: true });
      world.add({ ...loss(2), params: { LR: 2 } });
      await world.list();
      expect((await world.list()).views.map(({ mean }) => mean)).toEqual([1, 2]);
    }),
  );

  test(
    "a file of a newer version is left alone and said once, and jobs go on",
    withLedger(async (world) => {
      const { Database } = await import("bun:sqlite");
      mkdirSync(dirname(ledgerFile(world.stateDir, PROJECT)), { recursive: true, mode: 0o700 });
      const newer = new Database(ledgerFile(world.stateDir, PROJECT));
      newer.run("PRAGMA user_version = 99");
      newer.close();
      const said: string[] = [];
      world.ledger.onProblem((problem) => said.push(problem));
      for (let count = 0; count < 5; count++) world.add({ ...loss(count), params: { LR: count } });
      await Promise.resolve();
      await expect(world.list()).rejects.toThrow("newer version");
      expect(said).toHaveLength(1);
      expect(said[0]).toContain("Jobs go on");
    }),
  );

  test.skipIf(process.getuid?.() === 0)(
    "what could not be written is written once the disk allows it",
    withLedger(async (world) => {
      chmodSync(world.stateDir, 0o500);
      world.add({ ...loss(1) });
      await expect(world.list()).rejects.toThrow();
      chmodSync(world.stateDir, 0o700);
      expect((await world.list()).views).toHaveLength(1);
    }),
  );

  test(
    "what could not be written is kept, said once, and written with the next change",
    withLedger(async (world) => {
      world.add({ ...loss(1) });
      await world.list();
      const store = await world.ledger.open("ses_1");
      if (!store) throw new Error("there is a project");
      const said: string[] = [];
      world.ledger.onProblem((problem) => said.push(problem));
      const { save } = store;
      Object.assign(store, {
        save: () => {
          throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
        },
      });
      world.add({ ...loss(2), params: { LR: 2 } });
      world.add({ ...loss(3), params: { LR: 3 } });
      expect((await world.list()).views.map(({ mean }) => mean)).toEqual([1]);
      expect(said).toHaveLength(1);
      expect(world.ledger.problems().join()).toContain("disk is full");
      Object.assign(store, { save });
      world.add({ ...loss(4), params: { LR: 4 } });
      expect((await world.list()).views.map(({ mean }) => mean)).toEqual([1, 2, 3, 4]);
      expect(world.ledger.problems()).toEqual([]);
    }),
  );

  test(
    "the branch that an experiment was collected as is kept, over later changes of the job; one of no experiment is nothing",
    withLedger(async (world) => {
      world.add({ id: "job_a", ...loss(1) });
      await world.ledger.saveBranch("ses_1", "job_a", "agents/job_a");
      await world.ledger.saveBranch("ses_1", "job_b", "agents/job_b");
      world.add({ id: "job_a", ...loss(2) });
      const store = await world.ledger.open("ses_1");
      expect([store?.branchOf("job_a"), store?.branchOf("job_b")]).toEqual(["agents/job_a", null]);
    }),
  );

  test(
    "two processes write one file at the same time",
    withLedger(async (world) => {
      const other = openLedgerWorld({ stateDir: world.stateDir });
      for (let count = 0; count < 20; count++) {
        world.add({ id: `job_x${count}`, ...loss(count), params: { LR: count } });
        other.add({ id: `job_y${count}`, ...loss(100 + count), params: { LR: 100 + count } }, "ses_2");
        await Promise.resolve();
      }
      await other.list();
      expect((await world.list({ limit: 100 })).views).toHaveLength(40);
      await other.ledger.close();
    }),
  );

  test(
    "a session whose project is not known shares nothing and sees nothing of others",
    withLedger(async (world) => {
      world.projects.set("ses_lost", null);
      world.add({ ...loss(1) });
      world.add({ ...loss(2), params: { LR: 2 } }, "ses_lost");
      expect((await world.list()).views.map(({ mean }) => mean)).toEqual([1]);
      expect((await world.list({}, "ses_lost")).views).toEqual([]);
    }),
  );

  test(
    "while a job runs its numbers are written now and then, and its last with its end",
    withLedger(async (world) => {
      const running = { kind: "running", since: 5, leaseID: "l" } as const;
      for (let step = 0; step < 50; step++) world.add({ id: "job_a", state: running, metrics: { loss: 50 - step } });
      expect((await world.list()).views).toMatchObject([{ mean: 1 }]);
      expect((await world.list()).text).toContain("have not ended");
      world.add({ id: "job_a", ...loss(0.5) });
      expect((await world.list()).views).toMatchObject([{ mean: 0.5, rank: 1 }]);
    }),
  );
});
