import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openPoolStore } from "../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { openLab } from "../../../src/lab/open-lab.ts";
import { withLedger } from "../jobs/project/ledger-support.ts";

test(
  "has a session's jobs with their tasks, and all experiments of its project with what was measured of them",
  withLedger(async (world) => {
    const { stateDir, clock, ledger } = world;
    const pool = await openPoolStore(stateDir, clock);
    pool.saveProject("ses_1", "0123456789abcdef");
    pool.close();
    const job = world.add({ id: "job_a", description: "wide", command: null, metrics: { loss: 2 } });
    world.add({ measures: { jobID: "job_a", seed: 2 }, metrics: { loss: 3 }, source: "clean" }, "ses_2");
    mkdirSync(join(stateDir, "sessions"), { recursive: true });
    const store = await openSessionStore(sessionFile(stateDir, "ses_1"), clock);
    store.insert([{ job, turn: null }]);
    store.close();
    await ledger.open("ses_1");
    await ledger.saveBranch("ses_1", "job_a", "agents/job_a");

    const lab = await openLab({ stateDir, clock });
    expect(lab.records("ses_1").map(({ id, task }) => [id, task.prompt])).toEqual([["job_a", "the secret prompt"]]);
    expect(lab.records("ses_nobody")).toEqual([]);
    expect(lab.experiments("ses_1")).toMatchObject([
      {
        session: "ses_1",
        branch: "agents/job_a",
        experiment: { job: "job_a", description: "wide" },
        measured: [{ source: "clean", seed: 2, values: [["loss", 3]] }],
      },
    ]);
    expect(lab.experiments("ses_nobody")).toEqual([]);
    lab.close();
  }),
);
