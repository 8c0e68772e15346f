import { z } from "zod";
import { gpuString, listOf, named, oneOf, positive, section, text, wholeNumber } from "./fields.ts";

const GLOBS = 'a list of globs, for example ["data/**", "eval.py"]';
const globs = () => listOf(text('a glob, for example "data/**"'), GLOBS);

/** How the work of jobs is measured, under conditions that a job cannot change. */
export const benchmarkSchema = section({
  command: text("a shell command").describe(
    "Shell command that measures; it prints its numbers as `METRIC name=value` lines. `SEED` is 1 in the first repeat, 2 in the second, and so on.",
  ),
  metric: text("the name of a metric").describe("Metric that jobs are ranked by."),
  direction: oneOf(["min", "max"]).describe('Whether a smaller (`"min"`) or a larger (`"max"`) value is better.'),
  metrics: named(text("the text before the number"), "an object of names and texts", z.string().min(1))
    .prefault({}) // a default would be left out of the JSON Schema
    .describe(
      "Texts that a number follows in a line of the output, by the metric's name, for a command that prints no `METRIC` lines.",
    ),
  protect: globs()
    .default([])
    .describe(
      "Globs of the files that measure, such as the evaluation and its data: there the project's own count, whatever a job did to them.",
    ),
  artifacts: globs()
    .default([])
    .describe(
      "Globs of files of the job that are measured besides its changes, ignored ones too, such as a checkpoint.",
    ),
  setting: oneOf(["clean", "snapshot"])
    .default("clean")
    .describe(
      'Where it is measured: `"clean"`, a fresh sandbox with the project\'s files and the job\'s changes outside `protect`, or `"snapshot"`, the job\'s own files with `protect` restored.',
    ),
  environment: text("the name of an environment")
    .nullable()
    .default(null)
    .describe("Environment of the measurement. `null` = the job's."),
  gpu: gpuString().nullable().default(null).describe("GPUs of the measurement. `null` = those of its environment."),
  timeout_minutes: positive()
    .nullable()
    .default(null)
    .describe("Longest time of one repeat, in minutes. `null` = `jobTimeoutMinutes`."),
  repeats: wholeNumber(1, 100).default(1).describe("How often each job is measured, each time with another `SEED`."),
});

/** A benchmark with every key present. */
export type Benchmark = z.output<typeof benchmarkSchema>;
