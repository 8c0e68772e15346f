import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keysOf } from "../../src/core/experiments/experiment.ts";
import { rankExperiments } from "../../src/jobs/ranking/rank-experiments.ts";
import { openExperimentStore } from "../../src/jobs/store/experiment-store.ts";
import { renderLeaderboard } from "../../src/prompt/leaderboard.ts";
import { experimentOf } from "../support/experiments.ts";
import { ORCHESTRATOR } from "../unit/jobs/runtime-world.ts";
import { openTools } from "../unit/tools/tool-host.ts";
import { closeEndedRuns, openEndedRuns } from "./ended-runs.ts";
import { cpuOf, report, timed } from "./stats.ts";

const BATCH = 50;
const COUNTS = [100, 10_000];
const WRITING = "writing one";
const LISTS = {
  "listing the best 20": {},
  "listing one session's": { session: "ses_0" },
  "listing the best 200": { limit: 200 },
};

/** Calls that are repeated in a session of so many ended runs, and how often: the best of them is the call's own cost. */
const CALLS = ["agents_status", "experiments_list", "agents_wait"];
const REPEATED = 20;

/**
 * Times what `experiments_list` costs with a hundred experiments and with ten thousand, and writing one more; and what the
 * tools that look at a session's jobs cost with as many ended runs.
 */
export async function benchExperiments(rounds: number): Promise<void> {
  await benchLedger(rounds);
  await benchLooks();
}

async function benchLooks(): Promise<void> {
  const samples = new Map<string, number[]>();
  for (const count of COUNTS) {
    const world = await openEndedRuns(count);
    const { call } = openTools(world);
    await world.runtime.sessionJobs(ORCHESTRATOR);
    await call("experiments_list", {}); // writes the runs to the ledger
    for (const name of CALLS) {
      const own: number[] = [];
      for (let n = 0; n < REPEATED; n++) own.push(await cpuOf(() => call(name, {})));
      samples.set(`${name} ${count}`, own);
    }
    await closeEndedRuns(world);
  }
  for (const name of CALLS) {
    const [few, many] = COUNTS.map((count) => ({ name: `${count}`, samples: samples.get(`${name} ${count}`) ?? [] }));
    if (few && many) report(`${name} in a session of so many ended runs, CPU time`, many, few);
  }
}

async function benchLedger(rounds: number): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), "bench-experiments-"));
  const samples = new Map<string, number[]>();
  for (const count of COUNTS) {
    const store = await openExperimentStore(join(stateDir, "projects", `${count}.db`));
    const save = (...indices: readonly number[]) => {
      const entries = indices
        .map(experimentOf)
        .map((experiment) => ({ experiment, keys: keysOf(experiment), goal: null }));
      store.save(`ses_${Math.floor((indices[0] ?? 0) / BATCH) % 10}`, entries, []);
    };
    for (let index = 0; index < count; index += BATCH) save(...Array.from({ length: BATCH }, (_, n) => index + n));
    for (let round = 0; round <= rounds; round++) {
      for (const [name, { session = null, limit = 20 }] of Object.entries<{ session?: string; limit?: number }>(
        LISTS,
      )) {
        const ms = await timed(async () => {
          renderLeaderboard(
            rankExperiments(store, { knowsSnapshot: () => true }, session, { scope: "project", limit }),
          );
        });
        if (round > 0) add(`${name} ${count}`, ms);
      }
      const ms = await timed(async () => save(count + round));
      if (round > 0) add(`${WRITING} ${count}`, ms);
    }
    store.close();
  }
  const of = (name: string, count: number) => ({ name: `${count}`, samples: samples.get(`${name} ${count}`) ?? [] });
  for (const name of [...Object.keys(LISTS), WRITING])
    report(`Experiments: ${name}, of so many, on this machine`, of(name, 10_000), of(name, 100));
  rmSync(stateDir, { recursive: true, force: true });

  function add(name: string, ms: number): void {
    samples.set(name, [...(samples.get(name) ?? []), ms]);
  }
}
