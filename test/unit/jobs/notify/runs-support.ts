import { type Job, type Transition, transition } from "../../../../src/core/job.ts";
import { newJob } from "../../../../src/core/new-job.ts";
import type { MetricValue, RunTask } from "../../../../src/core/run-task.ts";
import { jobIn } from "../../views/job-in.ts";
import { ORCHESTRATOR, type World } from "../runtime-world.ts";

export const RUN: RunTask = {
  command: "python train.py",
  params: {},
  metrics: {},
  files: [],
  reuse: false,
  stop: null,
  measures: null,
};

export const STOP = { metric: "loss", direction: "min", rungs: [1, 2], keep: 0.5 } as const;

export const commandFailed = (message = "exit code 1: no module named torch"): Transition => ({
  kind: "failed",
  failure: { code: "command_failed", message, retryable: false },
});

const FIRST_MESSAGE = "msg_start";

interface RecordedRuns {
  /** Other runs of one call have another name of it. */
  readonly call?: string;
  /** Calls of other messages may have the same name. */
  readonly messageID?: string;
  readonly run?: Partial<RunTask>;
  readonly startedBy?: string | null;
}

/** Records queued runs of one call, which nothing starts: they end when the test says so. */
export async function recordRuns(
  world: World,
  count: number,
  { call = "call_start", messageID = FIRST_MESSAGE, run = { stop: STOP }, startedBy = null }: RecordedRuns = {},
): Promise<string[]> {
  const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
  const first = sessionJobs.nextPosition();
  const { task } = jobIn({ kind: "queued" });
  const origin = { sessionID: ORCHESTRATOR, messageID, callID: call };
  const jobs = Array.from({ length: count }, (_, index): Job => {
    const own = { description: "sweep", agent: "", prompt: "", gpu: "H100:8" };
    return newJob(
      {
        ...{ failure: null, origin, startedBy },
        task: { ...task, ...own, run: { ...RUN, params: { LR: index }, ...run } },
      },
      {
        id: `${messageID === FIRST_MESSAGE ? call : `${call}_${messageID}`}_${index}`,
        orchestrator: ORCHESTRATOR,
        position: first + index,
        provider: "local",
        now: world.clock.now() - 1,
      },
    );
  });
  sessionJobs.add(jobs.map((job) => ({ job, prompt: null })));
  return jobs.map(({ id }) => id);
}

/** Ends a recorded run as its command would have. */
export async function endRun(world: World, id: string, to?: Transition, loss?: MetricValue): Promise<Job> {
  const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
  const now = world.clock.now();
  sessionJobs.update(id, (job) => ({
    ...transition(job, { kind: "starting", leaseID: "lease" }, now),
    startedAt: now,
  }));
  sessionJobs.update(id, (job) =>
    transition({ ...job, sandbox: { kind: "live", id: `sb_${id}` } }, { kind: "running" }, now),
  );
  const metric = { value: loss ?? 0, at: new Date(now).toISOString(), source: "output" } as const;
  return sessionJobs.update(id, (job) => {
    const sandbox = { kind: "gone" } as const;
    const ended = transition({ ...job, sandbox }, to ?? { kind: "completed", result: "" }, now);
    return loss === undefined ? ended : { ...ended, metrics: { loss: metric } };
  });
}
