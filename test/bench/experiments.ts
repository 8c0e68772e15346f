import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keysOf } from "../../src/core/experiments/experiment.ts";
import { rankExperiments } from "../../src/jobs/actions/list-experiments.ts";
import { openExperimentStore } from "../../src/jobs/store/experiment-store.ts";
import { renderLeaderboard } from "../../src/prompt/leaderboard.ts";
import { experimentOf } from "../support/experiments.ts";
import { report, timed } from "./stats.ts";

const BATCH = 50;
const COUNTS = [100, 10_000];
const WRITING = "writing one";
const LISTS = {
  "listing the best 20": {},
  "listing one session's": { session: "ses_0" },
  "listing the best 200": { limit: 200 },
};

/** Times what `experiments_list` costs with a hundred experiments and with ten thousand, and writing one more. */
export async function benchExperiments(rounds: number): Promise<void> {
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
