import { NO_COMPUTE } from "../../../src/core/cost.ts";
import { type Job, type JobState, NOTHING_GIVEN } from "../../../src/core/job.ts";

export const AT = Date.UTC(2026, 0, 1);

/** A job that entered the given state one minute after `AT`. */
export const jobIn = (state: Partial<JobState> & { kind: JobState["kind"] }, more: Partial<Job> = {}): Job => ({
  id: "job_1",
  orchestrator: "ses_o",
  origin: null,
  position: 1,
  task: {
    description: "d",
    prompt: "p",
    agent: "sandbox_worker",
    model: null,
    variant: null,
    environment: "default",
    gpu: null,
    snapshotID: null,
    skills: [],
    forbidden: [],
    rules: [],
    timeoutMinutes: null,
    maxUsd: null,
  },
  provider: "local",
  createdAt: AT,
  startedAt: null,
  state: { since: AT + 60_000, ...state } as JobState,
  sandbox: { kind: "none" },
  gpu: null,
  ports: [],
  childSession: null,
  status: null,
  metrics: {},
  tokens: { input: 1, output: 2, cached: 3, reasoning: 4 },
  base: null,
  formerBases: [],
  update: null,
  given: NOTHING_GIVEN,
  briefing: null,
  notes: [],
  modelUsd: 0.5,
  compute: NO_COMPUTE,
  answers: [],
  turns: 1,
  ...more,
});
