import { readdirSync } from "node:fs";
import { join } from "node:path";
import { keysOf } from "../../../src/core/experiments/experiment.ts";
import { rankExperiments } from "../../../src/jobs/ranking/rank-experiments.ts";
import { ledgerFile, openExperimentStore } from "../../../src/jobs/store/experiment-store.ts";
import { toOwner } from "../../../src/jobs/store/lease-store.ts";
import { toPartText } from "../../../src/jobs/store/live-store.ts";
import { openPoolStore } from "../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { openLab } from "../../../src/lab/open-lab.ts";
import { experimentOf } from "../../support/experiments.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { AT, jobIn } from "../views/job-in.ts";

const SECOND = 1_000;

/*
 * Reads one state directory beside a process that writes it, and after that. It runs under Bun and Node, whose results must
 * be the same.
 */
export async function runLabScript(stateDir: string): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  const files = () => readdirSync(join(stateDir, "sessions")).sort();
  const clock = createFakeClock(AT + 120 * SECOND);
  const lab = await openLab({ stateDir, clock });
  results.nothing = [lab.sessions(null), lab.view("ses_1"), lab.view("../pool"), [...lab.series("ses_1", "job_1")]];
  results.made = readdirSync(stateDir);

  const pool = await openPoolStore(stateDir, clock);
  const store = await openSessionStore(sessionFile(stateDir, "ses_1"), clock);
  results.empty = lab.view("ses_1");
  store.insert([{ job: jobIn({ kind: "queued" }, { position: 1 }), turn: null }]);
  pool.saveProject("ses_1", "project_1");
  let heard = 0;
  const stop = lab.watch("ses_1", SECOND, () => heard++);
  results.queued = view();
  await clock.advance(5 * SECOND);
  results.heardOfNothing = heard;
  const point = { value: 1.5, step: 3, at: AT, source: "output" as const, report: 1 };
  store.saveJob(
    jobIn({ kind: "completed", result: "it's done" }, { modelUsd: 0.5 }),
    new Map([["loss", { points: [point], reports: 1, stride: 1 }]]),
  );
  await clock.advance(SECOND);
  results.heardOnce = heard;
  stop();
  store.saveJob(jobIn({ kind: "completed", result: "again" }, { modelUsd: 0.5 }));
  await clock.advance(5 * SECOND);
  results.heardAfterStop = heard;
  results.completed = view();
  results.series = [...lab.series("ses_1", "job_1")];
  // Another process's side, in short: it is there, and answers what it takes.
  const owner = toOwner("owner");
  const part = { maxRunning: 2, gpus: { total: 4 }, budgetUsd: 3, problems: ["a problem"], jobs: new Map() };
  store.live.savePart({ owner, at: clock.now(), text: toPartText(part) });
  const unwatch = lab.watch("ses_1", SECOND, () => {});
  results.live = view();
  results.watched = store.live.watched();
  unwatch();
  const asked = lab.ask("ses_1", { kind: "cancel", jobs: ["job_1"] });
  const [request] = store.live.openRequests(clock.now());
  results.taken = request && [1, 2].map(() => store.live.takeRequest(request.id, owner, clock.now()));
  store.live.answerRequest(request?.id ?? "", JSON.stringify({ kind: "done", text: "It's done." }));
  await clock.advance(SECOND);
  results.answer = await asked;
  results.left = store.live.openRequests(0);
  store.live.removePart(owner);
  results.ended = await lab.ask("ses_1", { kind: "cancel", jobs: ["job_1"] });

  results.noLedger = lab.leaderboard("ses_1", null);
  const ledger = await openExperimentStore(ledgerFile(stateDir, "project_1"), clock);
  const experiments = [0, 1, 4, 5].map(experimentOf);
  ledger.save(
    "ses_1",
    experiments.map((experiment) => ({ experiment, keys: keysOf(experiment), goal: null })),
    [],
  );
  results.ranked = [null, "acc", "nothing"].map((metric) => lab.leaderboard("ses_1", metric, 10));
  results.asTool = rankExperiments(ledger, pool, null, { scope: "project", metric: "acc", limit: 10 });
  ledger.close();
  results.stranger = lab.leaderboard("ses_2", null);
  lab.close();

  store.close();
  pool.close();
  results.closed = files();
  const later = await openLab({ stateDir, clock });
  results.alone = later.view("ses_1")?.jobs.map(({ result }) => result);
  results.sessions = later.sessions("project_1").map(({ id, project }) => [id, project]);
  results.others = later.sessions("project_2");
  later.close();
  results.madeNothing = files();
  return results;

  function view() {
    const { jobs = [], ...rest } = lab.view("ses_1") ?? {};
    return { ...rest, jobs: jobs.map(({ id, state, result, usd }) => [id, state, result, usd]) };
  }
}
