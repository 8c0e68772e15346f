import { decideBudgetAdmission, sessionBudgetFailure, spendOf } from "../../core/budget.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { decideAfterLoss, isNoteOf, notGoneOn, wentOnNote } from "../../core/sandbox-loss.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import { type Execution, stopperOf, toLost } from "./execution.ts";
import { keepAsking } from "./keep-asking.ts";

export interface GoOnDeps {
  readonly lifecycle: Pick<SandboxLifecycle, "obtain" | "settled">;
  readonly limits: Pick<Limits, "budget" | "highestRate">;
  readonly clock: Clock;
}

/**
 * Gives a job whose sandbox was lost a new one, with the files that are left.
 * @returns null if it is stopped meanwhile
 * @throws PluginError with which the job fails if it does not go on
 */
export type GoOn = (sessionJobs: SessionJobs, jobID: string, execution: Execution) => Promise<Sandbox | null>;

export function createGoOn({ lifecycle, limits, clock }: GoOnDeps): GoOn {
  async function obtainAgain(sessionJobs: SessionJobs, jobID: string, signal: AbortSignal): Promise<Sandbox> {
    const first = lifecycle.obtain(sessionJobs, jobID, signal);
    return keepAsking({ lifecycle, clock }, sessionJobs, jobID, signal, first).catch((error: unknown) => {
      const { loss, task } = requireJob(sessionJobs, jobID);
      if (!loss || !(error instanceof PluginError) || signal.aborted) throw error;
      const { code, message, retryable } = error;
      throw new PluginError(code, notGoneOn(loss, message, task), { cause: error, retryable });
    });
  }

  function factsOf(sessionJobs: SessionJobs, job: Job) {
    const { budget, highestRate } = limits;
    const accounts = sessionJobs.accounts();
    const now = clock.now();
    const money = decideBudgetAdmission(job, highestRate(job), sessionJobs.all(), budget, now, accounts);
    const outOfBudget =
      money.kind === "admit"
        ? null
        : money.kind === "refuse"
          ? money.failure
          : sessionBudgetFailure(
              budget.ceilingUsd ?? 0,
              accounts.settled.usd + spendOf(accounts.open, now).usd,
              job.task,
            );
    return { attempts: job.attempts, hasBegun: job.turns > 0, outOfBudget };
  }

  return async (sessionJobs, jobID, execution) => {
    const lost = execution.phase;
    if (lost.kind !== "sandbox_lost") return null;
    const signal = AbortSignal.any([execution.abort.signal, lost.giveUp.signal]);
    try {
      await unlessAborted(lifecycle.settled(jobID), signal, "the last files of its sandbox were kept");
      const job = requireJob(sessionJobs, jobID);
      const { loss } = job;
      const decision = loss && decideAfterLoss(loss, lost.lossFailure, factsOf(sessionJobs, job), job.task);
      if (decision?.kind === "fail") {
        const { code, message, retryable } = decision.failure;
        throw new PluginError(code, message, { retryable });
      }
      sessionJobs.update(jobID, (current) => ({ ...current, attempts: current.attempts + 1 }));
      const sandbox = await obtainAgain(sessionJobs, jobID, signal);
      if (isStopped()) return null;
      sessionJobs.update(jobID, withWentOn);
      execution.phase = { kind: "between_turns" };
      watchSandbox(execution, sandbox);
      return sandbox;
    } catch (error) {
      if (isStopped()) return null;
      throw error;
    }
    /** A dropped turn is the same loss. */
    function isStopped(): boolean {
      return execution.abort.signal.aborted || execution.phase.kind !== "sandbox_lost";
    }
  };
}

/** Stops what is under way when the sandbox ends. */
export function watchSandbox(execution: Execution, sandbox: Sandbox): void {
  void sandbox.ended.then((lossFailure) => {
    const stopper = stopperOf(execution.phase);
    if (lossFailure) execution.phase = toLost(execution.phase, lossFailure);
    stopper?.abort();
  });
}

/** The job that has another sandbox after the loss of its own. */
export function withWentOn(job: Job): Job {
  const { loss, task } = job;
  if (!loss) return job;
  return { ...job, notes: [...job.notes.filter((note) => !isNoteOf(loss, note, task)), wentOnNote(loss, task)] };
}
