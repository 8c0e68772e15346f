import { parseArgs } from "node:util";
import { type ChaosProvider, type ChaosReport, runChaos } from "./chaos-run.ts";
import { describePlan } from "./plan.ts";

/*
 * Kills OpenCode at moments drawn from seeds and says what came of its jobs:
 * `npm run chaos -- --runs 100 [--seed n] [--provider local|modal]`. Run n of them has the seed `--seed` + n, so that
 * `--runs 1 --seed n` plays one of them again.
 */

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    provider: { type: "string", default: "local" },
  },
});
const { provider } = values;
if (provider !== "local" && provider !== "modal") throw new Error(`--provider is local or modal, not ${provider}`);

const print = (line: string) => void process.stdout.write(`${line}\n`);

function printRun({ plan, jobs, states, toldOnce, swept, problems }: ChaosReport): void {
  const ends = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  const came = `${jobs} jobs (${ends.join(", ")}), ${toldOnce} results once, ${swept} strays swept, 0 left`;
  print(`${describePlan(plan)}: ${came}${problems.length === 0 ? "" : `, ${problems.length} PROBLEMS`}`);
  for (const problem of problems) print(`    ${problem.replaceAll("\n", "\n    ").slice(0, 2_000)}`);
}

async function runAll(runs: number, seed: number, where: ChaosProvider): Promise<ChaosReport[]> {
  const reports: ChaosReport[] = [];
  for (let n = 0; n < runs; n++) {
    const report = await runChaos(seed + n, where);
    reports.push(report);
    printRun(report);
  }
  return reports;
}

const reports = await runAll(Number(values.runs), Number(values.seed), provider);
const sum = (of: (report: ChaosReport) => number) => reports.reduce((total, report) => total + of(report), 0);
const bad = reports.filter(({ problems }) => problems.length > 0);
const verdict =
  bad.length === 0
    ? `${sum(({ swept }) => swept)} strays swept, no sandbox or snapshot left`
    : `PROBLEMS in ${bad.length} (seeds ${bad.map(({ plan }) => plan.seed).join(", ")})`;
print(
  `${reports.length} runs: ${sum(({ jobs }) => jobs)} jobs ended, ${sum(({ toldOnce }) => toldOnce)} results delivered exactly once, ${verdict}`,
);
process.exit(bad.length === 0 ? 0 : 1);
