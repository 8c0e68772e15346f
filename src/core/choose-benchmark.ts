import type { Benchmark } from "../config/benchmark.ts";
import { closest } from "../config/spelling.ts";
import { inQuotes, nameList } from "../shared/plain-text.ts";
import { findGlobProblem } from "./glob-problem.ts";
import type { Job } from "./job.ts";
import { withoutSandbox } from "./without-sandbox.ts";

export type BenchmarkChoice =
  /** `name`: null = it was given in the call. */
  | { readonly kind: "chosen"; readonly name: string | null; readonly benchmark: Benchmark }
  | { readonly kind: "refused"; readonly why: string };

/** @param given a name, or a benchmark; undefined = the only one that is configured */
export function chooseBenchmark(
  given: string | Benchmark | undefined,
  configured: Readonly<Record<string, Benchmark>>,
): BenchmarkChoice {
  const names = Object.keys(configured);
  if (typeof given === "object") return { kind: "chosen", name: null, benchmark: given };
  const name = given ?? (names.length === 1 ? names[0] : undefined);
  const benchmark = name !== undefined && Object.hasOwn(configured, name) ? configured[name] : undefined;
  if (name !== undefined && benchmark) return { kind: "chosen", name, benchmark };
  if (names.length === 0)
    return refuse(
      `${name === undefined ? "" : `there is no benchmark ${inQuotes(name)}: `}no benchmarks are configured ("benchmarks" in parallel-agents.jsonc); give one in the call: { "command", "metric", "direction", "protect" }.`,
    );
  if (name === undefined) return refuse(`several are configured, so name one: ${nameList(names)}.`);
  const meant = closest(name, names);
  return refuse(
    `there is no benchmark ${inQuotes(name)}${meant === undefined ? "." : `; do you mean ${inQuotes(meant)}?`} Configured: ${nameList(names)}.`,
  );
}

const refuse = (why: string): BenchmarkChoice => ({ kind: "refused", why });

/** Why a benchmark cannot be meant as it is; null = it can. What its task would be refused for is not looked at. */
export function findBenchmarkProblem({ command, metric, protect, artifacts }: Benchmark): string | null {
  if (command.trim() === "") return "its command is empty.";
  if (metric.trim() === "" || /\s/.test(metric.trim()))
    return `its metric ${inQuotes(metric)} is not a name that a line "METRIC name=value" can have.`;
  for (const [what, globs] of Object.entries({ protect, artifacts }))
    for (const glob of globs) {
      const why = findGlobProblem(glob);
      if (why !== null) return `${what} has ${inQuotes(glob)}: ${why}`;
    }
  return null;
}

/** Why a job cannot be measured; null = it can. */
export function findMeasuringProblem(job: Job, setting: Benchmark["setting"], protects: boolean): string | null {
  const { id, state, task, base } = job;
  const measured = task.run?.measures?.jobID;
  if (measured !== undefined) return `${id} is itself a measurement, of ${measured}; measure ${measured}.`;
  const missing = withoutSandbox(job);
  if (missing && !missing.retryable) return `${id} cannot be measured: ${missing.why}.`;
  if (state.kind === "interrupted")
    return `${id} is interrupted and goes on later, so its files are not final; wait for it with agents_wait, or cancel it, and measure it then.`;
  if (state.kind === "queued" || state.kind === "starting" || state.kind === "running")
    return `${id} is ${state.kind}, so its files are not final; wait for it with agents_wait, or cancel it, and measure it then.`;
  if (base) return null;
  const none = `${id} cannot be measured in the setting "${setting}": it did not start from a project's files`;
  if (setting === "clean")
    return `${none}, so nothing tells its changes, and a fresh sandbox would have none of them. Use the setting "snapshot" without protect, which measures its own files.`;
  return protects
    ? `${none}, from which the files of protect would be restored. Leave protect out: then nothing is kept from the job, and the number is its own.`
    : null;
}
