import { type Accounts, type Spend, spendOf } from "./budget.ts";
import { isCosting } from "./cost.ts";
import { isHeld, type Job } from "./job.ts";

/**
 * What a session's jobs have cost, kept as they change: the jobs whose cost is final are summed up, so that thousands of
 * ended runs are not added up anew at every change of one that runs.
 */
export interface Account {
  /** `before`: the job as it was counted; null = it is new. */
  change(before: Job | null, job: Job): void;
  state(): Accounts;
}

const isOpen = (job: Job): boolean => isHeld(job.state) || isCosting(job.compute);

export function createAccount(jobs: Iterable<Job>): Account {
  const open = new Map<string, Job>();
  let modelUsd = 0;
  let computeUsd = 0;
  const settle = (job: Job, sign: 1 | -1) => {
    modelUsd += sign * job.modelUsd;
    computeUsd += sign * job.compute.usd;
  };
  const account: Account = {
    change(before, job) {
      if (before && !isOpen(before)) settle(before, -1);
      if (isOpen(job)) open.set(job.id, job);
      else {
        open.delete(job.id);
        settle(job, 1);
      }
    },
    state: () => ({ open: [...open.values()], settled: { usd: modelUsd + computeUsd, modelUsd, computeUsd } }),
  };
  for (const job of jobs) account.change(null, job);
  return account;
}

export function spendIn({ open, settled }: Accounts, now: number): Spend {
  const rest = spendOf(open, now);
  return {
    usd: settled.usd + rest.usd,
    modelUsd: settled.modelUsd + rest.modelUsd,
    computeUsd: settled.computeUsd + rest.computeUsd,
  };
}
