import { expect, test } from "bun:test";
import fc from "fast-check";
import { createAccount, spendIn } from "../../../src/core/account.ts";
import { decideBudget, decideBudgetAdmission, spendOf } from "../../../src/core/budget.ts";
import { NO_COMPUTE } from "../../../src/core/cost.ts";
import type { Job } from "../../../src/core/job.ts";
import { jobIn } from "../views/job-in.ts";

const NOW = 3_600_000;
const limits = { ceilingUsd: 50, warnAt: 0.8, rescueMs: 60_000 };

/** A job with another cost, which runs, has a sandbox, or neither. */
const job: fc.Arbitrary<Job> = fc
  .record({
    id: fc.nat(6),
    kind: fc.constantFrom("queued", "running", "completed"),
    usd: fc.nat(20),
    since: fc.option(fc.nat(NOW)),
  })
  .map(({ id, kind, usd, since }) =>
    jobIn(
      kind === "running"
        ? { kind, leaseID: "lease" }
        : kind === "completed"
          ? { kind, result: "" }
          : { kind: "queued" },
      {
        ...{ id: `job_${id}`, modelUsd: usd / 2 },
        compute: { ...NO_COMPUTE, usd, usdPerHour: 2, leastPerHour: 1, since },
      },
    ),
  );

test("an account that is kept as jobs change says what all of them cost, and decides as if they were added up", () => {
  fc.assert(
    fc.property(fc.array(job, { maxLength: 40 }), job, (changes, candidate) => {
      const jobs = new Map<string, Job>();
      const account = createAccount([]);
      for (const one of changes) {
        account.change(jobs.get(one.id) ?? null, one);
        jobs.set(one.id, one);
      }
      const all = [...jobs.values()];
      const { open, settled } = account.state();
      const [kept, sum] = [spendIn({ open, settled }, NOW), spendOf(all, NOW)];
      expect(kept.usd).toBeCloseTo(sum.usd, 6);
      expect(kept.modelUsd).toBeCloseTo(sum.modelUsd, 6);
      const [a, b] = [decideBudget(open, limits, NOW, settled), decideBudget(all, limits, NOW)];
      expect([a.isLow, a.isOut]).toEqual([b.isLow, b.isOut]);
      const decide = (...accounts: [] | [ReturnType<typeof account.state>]) =>
        decideBudgetAdmission(candidate, 3, all, limits, NOW, ...accounts).kind;
      expect(decide({ open, settled })).toBe(decide());
    }),
  );
});
