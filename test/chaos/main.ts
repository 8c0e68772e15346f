import { parseArgs } from "node:util";
import { playAllBurstKills } from "./burst-kills.ts";
import { type ChaosProvider, type ChaosReport, runChaos } from "./chaos-run.ts";
import { describePlan } from "./plan.ts";

/*
 * Kills OpenCode at random moments and reports what became of its jobs:
 * `npm run chaos -- --runs 100 [--seed n] [--provider local|modal]`. The seeds are `--seed` and those that follow it, so
 * `--runs 1 --seed n` repeats the run with seed n. `--bursts [--provider local|modal]` kills the process of a command on a GPU
 * at each of its steps instead.
 */

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    provider: { type: "string", default: "local" },
    bursts: { type: "boolean", default: false },
  },
});
const { provider } = values;
if (provider !== "local" && provider !== "modal") throw new Error(`--provider is local or modal, not ${provider}`);

const print = (line: string) => void process.stdout.write(`${line}\n`);

function printRun({ plan, jobs, states, reportedOnce, orphansRemoved, problems }: ChaosReport): void {
  const ends = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  const outcome = `${jobs} jobs (${ends.join(", ")}), results reported once: ${reportedOnce}, orphans removed: ${orphansRemoved}`;
  print(`${describePlan(plan)}: ${outcome}${problems.length === 0 ? "" : `, PROBLEMS: ${problems.length}`}`);
  for (const problem of problems) print(`    ${problem.replaceAll("\n", "\n    ").slice(0, 2_000)}`);
}

async function runAll(runs: number, seed: number, on: ChaosProvider): Promise<ChaosReport[]> {
  const reports: ChaosReport[] = [];
  for (let n = 0; n < runs; n++) {
    const report = await runChaos(seed + n, on);
    reports.push(report);
    printRun(report);
  }
  return reports;
}

if (values.bursts) process.exit(await playAllBurstKills(provider, print));
const reports = await runAll(Number(values.runs), Number(values.seed), provider);
const sum = (of: (report: ChaosReport) => number) => reports.reduce((total, report) => total + of(report), 0);
const failed = reports.filter(({ problems }) => problems.length > 0);
const verdict =
  failed.length === 0
    ? `orphans removed: ${sum(({ orphansRemoved }) => orphansRemoved)}, no sandbox or snapshot left`
    : `PROBLEMS in ${failed.length} (seeds ${failed.map(({ plan }) => plan.seed).join(", ")})`;
print(
  `Runs: ${reports.length}, jobs ended: ${sum(({ jobs }) => jobs)}, results reported exactly once: ${sum(({ reportedOnce }) => reportedOnce)}, ${verdict}`,
);
process.exit(failed.length === 0 ? 0 : 1);
