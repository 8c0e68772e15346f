import { z } from "zod";
import { named } from "../../config/fields.ts";
import type { Experiment, Measured, OwnResult } from "../../core/experiments/experiment.ts";
import { direction, metricValue } from "./job-record.ts";

/** An experiment as stored, also by an earlier or a later version: what a version does not know gets its default here. */
const texts = z.array(z.string());
const textOrNull = z.string().nullable().default(null);
const amount = z.number().catch(0);

export const metricSource = z.enum(["reported", "output", "snapshot", "clean"]);
export const standing = z.enum(["final", "outdated", "running", "stopped", "failed"]);
export const jobState = z.enum(["queued", "starting", "running", "interrupted", "completed", "failed", "cancelled"]);

const result: z.ZodType<OwnResult> = z.object({
  metric: z.string(),
  value: metricValue,
  step: z.number().nullable().default(null),
  source: metricSource,
  at: z.string(),
});

export const experimentRecord: z.ZodType<Experiment> = z.object({
  job: z.string(),
  kind: z.enum(["agent", "run"]),
  description: z.string(),
  command: textOrNull,
  params: named(z.union([z.string(), z.number()])).default({}),
  metricTexts: named(z.string()).default({}),
  files: texts.default([]),
  stop: z
    .object({ metric: z.string(), direction, rungs: z.array(z.number()), keep: z.number() })
    .nullable()
    .default(null)
    .catch(null),
  seed: textOrNull,
  environment: z.string(),
  image: textOrNull,
  recipe: z.string().default(""),
  provider: z.string(),
  gpuWanted: textOrNull,
  gpu: textOrNull,
  devices: texts.default([]),
  baseTree: textOrNull,
  baseHead: textOrNull,
  fromSnapshot: textOrNull,
  parent: textOrNull,
  call: textOrNull,
  state: jobState,
  standing,
  exitCode: z.number().nullable().default(null),
  stopped: z.object({ rung: z.number(), value: metricValue, cut: metricValue }).nullable().default(null).catch(null),
  results: z.array(result).default([]),
  usd: amount,
  ranMs: amount,
  runningSince: z.number().nullable().default(null),
  gpuSeconds: amount,
  createdAt: z.number(),
  endedAt: z.number().nullable().default(null),
  snapshot: textOrNull,
  turns: z.number().nullable().default(null),
});

export const measuredRecord: z.ZodType<Measured> = z.object({
  by: z.string(),
  job: z.string(),
  source: metricSource,
  bench: z.string(),
  metric: z.string(),
  direction,
  seed: z.number(),
  turns: z.number().nullable().default(null),
  state: jobState.nullable().default(null).catch(null),
  values: z.array(z.tuple([z.string(), metricValue])).default([]),
  at: z.number(),
  usd: amount,
  ranMs: amount,
  runningSince: z.number().nullable().default(null),
  gpuSeconds: amount,
});
