import { expect } from "bun:test";
import { runChaos } from "../chaos/chaos-run.ts";
import { describePlan } from "../chaos/plan.ts";
import { sandboxTest } from "../support/sandboxes.ts";

/* Two runs of the chaos series, each with two kills. `npm run chaos -- --runs 100` plays many. */

for (const [seed, provider] of [
  [6, "local"],
  [57, "modal"],
] as const)
  sandboxTest(
    `ends every job, reports every result once and leaves nothing when OpenCode is killed during a batch on ${provider}`,
    async () => {
      const { plan, jobs, reportedOnce, orphansRemoved, problems } = await runChaos(seed, provider);
      process.stdout.write(
        `${describePlan(plan)}: ${jobs} jobs, results reported once: ${reportedOnce}, orphans removed: ${orphansRemoved}\n`,
      );
      expect(problems).toEqual([]);
      expect([jobs, plan.kills.length]).toEqual([6, 2]);
      expect(reportedOnce).toBeGreaterThanOrEqual(6);
    },
    600_000,
  );
