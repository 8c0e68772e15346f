import { z } from "zod";
import { named } from "../../config/fields.ts";
import { PROVIDER_NAMES } from "../../config/provider-names.ts";
import type { Burst } from "../../core/burst-state.ts";
import { type Compute, type Meter, NO_COMPUTE } from "../../core/cost.ts";
import type { GpuUse } from "../../core/gpu-use.ts";
import {
  type Briefing,
  type GivenFiles,
  type Job,
  type JobSandbox,
  type JobState,
  type Metric,
  NOTHING_GIVEN,
  type StartedProcess,
} from "../../core/job.ts";
import type { JobTask } from "../../core/job-task.ts";
import type { RunTask } from "../../core/run-task.ts";
import type { SandboxLoss } from "../../core/sandbox-loss.ts";
import type { TaskSource } from "../../core/task-source.ts";
import type { TreeUpdate } from "../../core/tree-update.ts";
import type { ErrorCode, Failure } from "../../shared/error-code.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";

/*
 * A job as stored, also by an earlier version: what that version did not know gets its default here and nowhere else.
 * A further state or provider comes with a migration: earlier versions then refuse the file, where they would take it for
 * damaged and set it aside.
 */

const texts = z.array(z.string());
const time = z.number();
/** JSON has no NaN: what a host counted wrong must not make its job unreadable. */
const amount = z.number().catch(0);

export const providerName = z.enum(PROVIDER_NAMES);

export const treeBase: z.ZodType<TreeBase> = z.object({
  project: z.string(),
  head: z.string().nullable(),
  tree: z.string(),
  commit: z.string(),
  nested: texts,
  withheld: texts.default([]),
  emptyFolders: texts,
  notes: texts,
});

const failure: z.ZodType<Failure> = z.object({
  code: z.string().transform((code) => code as ErrorCode), // only shown: a later version may have more
  message: z.string(),
  retryable: z.boolean().nullable(),
});

const state: z.ZodType<JobState> = z.discriminatedUnion("kind", [
  z.object({ kind: z.enum(["queued", "interrupted"]), since: time }),
  z.object({
    kind: z.literal("starting"),
    since: time,
    leaseID: z.string(),
    queuedSince: time.optional().catch(undefined),
  }),
  z.object({ kind: z.literal("running"), since: time, leaseID: z.string() }),
  z.object({ kind: z.literal("completed"), since: time, result: z.string() }),
  z.object({ kind: z.literal("failed"), since: time, failure, result: z.string().optional() }),
  z.object({ kind: z.literal("cancelled"), since: time, reason: z.string().nullable(), result: z.string().optional() }),
]);

const sandbox: z.ZodType<JobSandbox> = z.discriminatedUnion("kind", [
  z.object({ kind: z.enum(["none", "creating", "gone"]) }),
  z.object({ kind: z.literal("live"), id: z.string() }),
  z.object({ kind: z.literal("parked"), snapshotID: z.string() }),
]);

const source: z.ZodType<TaskSource> = z.discriminatedUnion("kind", [
  z.object({ kind: z.enum(["image", "job"]), id: z.string() }),
  z.object({ kind: z.literal("sandbox"), id: z.string(), jobID: z.string().nullable() }),
]);

const loss: z.ZodType<SandboxLoss> = z.object({
  at: time,
  why: z.string(),
  files: z
    .discriminatedUnion("kind", [
      z.object({ kind: z.literal("last"), snapshotID: z.string() }),
      z.object({ kind: z.literal("snapshot"), snapshotID: z.string(), takenAt: time }),
      z.object({ kind: z.literal("none") }),
    ])
    .nullable(),
});

export const direction = z.enum(["min", "max"]);

export const metricValue = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]);

const run: z.ZodType<RunTask> = z.object({
  command: z.string(),
  params: named(z.union([z.string(), z.number()])),
  metrics: named(z.string()),
  files: texts,
  reuse: z.boolean(),
  stop: z.object({ metric: z.string(), direction, rungs: z.array(z.number()), keep: z.number() }).nullable(),
  measures: z
    .object({
      jobID: z.string(),
      benchmark: z.string().nullable(),
      setting: z.enum(["clean", "snapshot"]),
      metric: z.string(),
      direction,
      protect: texts,
      evaluation: z.string().nullable().default(null),
      artifacts: texts,
      seed: z.number(),
      turns: z.number().nullable().default(null),
    })
    .nullable(),
});

const task: z.ZodType<JobTask> = z.object({
  description: z.string(),
  prompt: z.string(),
  agent: z.string(),
  model: z.string().nullable(),
  variant: z.string().nullable().default(null),
  environment: z.string(),
  gpu: z.string().nullable().default(null),
  snapshotID: z.string().nullable(),
  source: source.optional(),
  skills: texts,
  forbidden: texts.default([]),
  rules: z.array(z.object({ tool: z.string(), pattern: z.string(), isDenial: z.boolean() })).default([]),
  timeoutMinutes: z.number().nullable().default(null),
  maxUsd: z.number().nullable().default(null),
  run: run.nullable().default(null),
});

const given: z.ZodType<GivenFiles> = z.object({
  instructions: z.array(z.object({ name: z.string(), text: z.string() })),
  imagesFrom: z.string().nullable(),
});

const briefing: z.ZodType<Briefing> = z.object({
  workdir: z.string(),
  home: z.string().nullable(),
  notes: texts,
  inText: z.number(),
  hasProject: z.boolean().optional(),
});

const update: z.ZodType<TreeUpdate> = z.object({ at: time, conflicts: texts, problem: z.string().nullable() });

export const metricSource = z.enum(["reported", "output", "snapshot", "clean"]);

const metric: z.ZodType<Metric> = z.object({
  value: metricValue.catch("NaN"),
  step: z.number().optional().catch(undefined),
  at: z.string(),
  source: metricSource.default("reported"), // earlier versions knew no other
  turns: z.number().optional().catch(undefined),
});

const startedProcess: z.ZodType<StartedProcess> = z.object({
  id: z.string(),
  command: z.string(),
  log: z.string().nullable(),
  sandboxID: z.string(),
  attempt: z.number().optional().catch(undefined),
  stopped: z.boolean().optional().catch(undefined),
});

const meter = z.object({
  usd: amount,
  usdPerHour: amount,
  leastPerHour: z.number().optional().catch(undefined),
  since: time.nullable(),
  until: time.nullable(),
  measured: z.object({ at: time, usd: z.number() }).nullable().default(null).catch(null),
});

const burstMeter: z.ZodType<Meter> = meter.extend({ leastPerHour: amount });

const burst: z.ZodType<Burst> = z.object({
  gpu: z.string(),
  devices: texts,
  sandboxID: z.string().nullable(),
  since: time.nullable(),
  reason: z.string().nullable(),
  doing: z.enum(["waiting", "starting", "running", "returning", "idle"]),
  command: z.string(),
  isPlacing: z.boolean().optional(),
});

const compute: z.ZodType<Compute> = meter
  .extend({ burst: burstMeter.nullable().optional().catch(null) })
  // Earlier versions knew one price.
  .transform(({ leastPerHour, ...known }) => ({ ...known, leastPerHour: leastPerHour ?? known.usdPerHour }));

const gpuUse: z.ZodType<GpuUse> = z.object({
  heldSeconds: amount,
  measuredSeconds: amount,
  busySeconds: amount,
  samples: amount,
  failures: amount,
  isMissing: z.boolean(),
  latest: z
    .object({
      at: time,
      utilization: z.number(),
      gpus: z.number(),
      memoryUsedMiB: z.number().nullable(),
      memoryTotalMiB: z.number().nullable(),
    })
    .nullable(),
  mostMemoryMiB: z.number().nullable(),
  until: time,
});

export const jobRecord: z.ZodType<Job> = z.object({
  id: z.string(),
  orchestrator: z.string(),
  origin: z.object({ sessionID: z.string(), messageID: z.string(), callID: z.string() }).nullable().default(null),
  parent: z.string().nullable().default(null),
  startedBy: z.string().nullable().default(null),
  position: z.number(),
  task,
  provider: providerName,
  createdAt: time,
  startedAt: time.nullable(),
  firstReplyAt: time.optional().catch(undefined),
  firstCommandAt: time.optional().catch(undefined),
  state,
  sandbox,
  attempts: z.number().default(1),
  loss: loss.nullable().default(null),
  stopFailure: failure.nullable().optional().catch(null),
  base: treeBase.nullable().default(null),
  formerBases: z.array(treeBase).default([]),
  update: update.nullable().default(null),
  given: given.default(NOTHING_GIVEN),
  briefing: briefing.nullable().default(null),
  notes: texts.default([]),
  gpu: z.string().nullable().default(null),
  gpuWait: z
    .object({ since: time, retryAt: time.nullable(), isUnreachable: z.boolean().default(false) })
    .nullable()
    .default(null)
    .catch(null),
  devices: texts.default([]),
  gpuUse: gpuUse.optional().catch(undefined),
  ports: z.array(z.object({ port: z.number(), url: z.string() })).default([]),
  childSession: z.string().nullable(),
  processes: z.array(startedProcess).default([]),
  status: z.string().nullable(),
  metrics: named(metric),
  exitCode: z.number().nullable().default(null),
  stopped: z.object({ rung: z.number(), value: metricValue, cut: metricValue }).nullable().default(null).catch(null),
  tokens: z.object({ input: amount, output: amount, cached: amount, reasoning: amount }),
  modelUsd: amount,
  compute: compute.default(NO_COMPUTE),
  burst: burst.nullable().optional().catch(null),
  formerBursts: z
    .array(z.object({ from: time, to: time, gpus: z.number() }))
    .optional()
    .catch(undefined),
  answers: z.array(z.object({ turn: z.number(), text: z.string(), problem: z.string().nullable() })).default([]),
  turns: z.number(),
});
