import { expect } from "bun:test";
import { runChaos } from "../chaos/chaos-run.ts";
import { describePlan } from "../chaos/plan.ts";
import { sandboxTest } from "../support/sandboxes.ts";

/* A few runs of the chaos series, each with two kills; all of them: npm run chaos -- --runs 100. */

for (const [seed, provider] of [
  [6, "local"],
  [57, "modal"],
] as const)
  sandboxTest(
    `OpenCode is killed in the middle of a batch on ${provider}: every job ends, every result is told once, nothing is left`,
    async () => {
      const { plan, jobs, toldOnce, swept, problems } = await runChaos(seed, provider);
      process.stdout.write(`${describePlan(plan)}: ${jobs} jobs, ${toldOnce} results once, ${swept} strays swept\n`);
      expect(problems).toEqual([]);
      expect([jobs, plan.kills.length]).toEqual([6, 2]);
      expect(toldOnce).toBeGreaterThanOrEqual(6);
    },
    600_000,
  );
