import type { Options } from "../../config/schema.ts";
import { type Experiment, keysOf, toExperiment } from "../../core/experiments/experiment.ts";
import { seedOf } from "../../core/experiments/seeds.ts";
import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import { earlierRunNote } from "../../prompt/earlier-runs.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { within } from "../../shared/time-limit.ts";
import type { Ledger } from "../project/ledger.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { ExperimentStore, Sought } from "../store/experiment-store.ts";

export interface EarlierRunsDeps {
  readonly options: Pick<Options, "environments" | "ledger">;
  readonly ledger: Pick<Ledger, "open">;
  readonly trees: Pick<ProjectTrees, "capturing">;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the new runs of a call repeat. */
export interface Repeats {
  readonly earlier: readonly { readonly job: Job; readonly run: Experiment }[];
  /** Runs of the call that do the same: ids, and their seed, "" for none. */
  readonly within: readonly { readonly jobs: readonly string[]; readonly seed: string }[];
}

/** How long an answer waits until it is known whether the project's files are those of an earlier run. */
const ANSWER_MS = 5_000;

/**
 * Finds runs that were run before: the same command, parameters, environment, GPU and files. They start all the same, with a
 * note that names the earlier one. Never rejects: what cannot be found out is not said.
 * @param jobs of one call, as they were recorded
 */
export async function findRepeats(
  deps: EarlierRunsDeps,
  sessionJobs: SessionJobs,
  jobs: readonly Job[],
): Promise<Repeats> {
  const runs = jobs.filter(({ task, state }) => task.run && !task.run.measures && state.kind !== "failed");
  if (runs.length === 0) return { earlier: [], within: [] };
  const known = runs.map((job) => ({ job, keys: keysOf(toExperiment(job, deps.options.environments, null)) }));
  const earlier: { job: Job; run: Experiment }[] = [];
  try {
    const store = await deps.ledger.open(sessionJobs.orchestrator);
    const session = deps.options.ledger.scope === "session" ? sessionJobs.orchestrator : null;
    const except = jobs.map(({ id }) => id);
    const searches = known.flatMap(({ job, keys: { tried } }) => {
      if (!store || !tried) return [];
      const sought = { tried, gpuWanted: job.task.gpu, session, except };
      return store.wasTried(sought) ? [search(job, store, sought)] : [];
    });
    if (searches.length > 0)
      await within(Promise.all(searches), { clock: deps.clock, limitMs: ANSWER_MS, doing: "Looking for earlier runs" });
  } catch (error) {
    deps.log("warn", "could not find out whether runs were run before", { reason: String(error) });
  }
  return { earlier: [...earlier], within: sameInCall(known) };

  /**
   * Once it is known which files the job starts from. What those of another call of this moment start from is known only
   * then as well. The job is told also where the answer did not wait for it.
   */
  async function search(job: Job, store: ExperimentStore, sought: Sought): Promise<void> {
    const base = job.task.snapshotID === null ? await deps.trees.capturing(job.id)?.catch(() => null) : null;
    await deps.ledger.open(sessionJobs.orchestrator); // it has what others start from now
    const now = sessionJobs.get(job.id) ?? job; // its files may be known by now
    const start = now.task.snapshotID ?? base?.tree ?? now.base?.tree ?? null;
    if (start === null && now.task.source !== undefined && now.task.source.kind !== "image") return; // it is not frozen yet
    const run = store.earlierRun(sought, start);
    if (!run) return;
    earlier.push({ job, run });
    sessionJobs.update(job.id, (current) => withNotes(current, [earlierRunNote(run)]));
  }
}

function sameInCall(
  known: readonly { readonly job: Job; readonly keys: ReturnType<typeof keysOf> }[],
): Repeats["within"] {
  const groups = new Map<string, Job[]>();
  for (const { job, keys } of known) {
    const key = JSON.stringify([keys.tried, job.task.gpu, job.task.snapshotID, job.task.source ?? null]);
    groups.set(key, [...(groups.get(key) ?? []), job]);
  }
  return [...groups.values()]
    .filter((those) => those.length > 1)
    .map((those) => ({ jobs: those.map(({ id }) => id), seed: seedOf(those[0]?.task.run?.params ?? {}) ?? "" }));
}
