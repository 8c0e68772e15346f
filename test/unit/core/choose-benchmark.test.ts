import { describe, expect, test } from "bun:test";
import { type Benchmark, benchmarkSchema } from "../../../src/config/benchmark.ts";
import { chooseBenchmark, findBenchmarkProblem, findMeasuringProblem } from "../../../src/core/choose-benchmark.ts";
import type { Job } from "../../../src/core/job.ts";
import { jobIn } from "../views/job-in.ts";

const benchmark = (more: object = {}): Benchmark =>
  benchmarkSchema.parse({ command: "sh eval.sh", metric: "loss", direction: "min", ...more });
const LOSS = benchmark();
const SPEED = benchmark({ metric: "seconds" });

describe("the benchmark of a call", () => {
  test("is the one given, the one named, or the only one that is configured", () => {
    expect(chooseBenchmark(SPEED, { loss: LOSS })).toEqual({ kind: "chosen", name: null, benchmark: SPEED });
    expect(chooseBenchmark("loss", { loss: LOSS, speed: SPEED })).toMatchObject({ name: "loss", benchmark: LOSS });
    expect(chooseBenchmark(undefined, { loss: LOSS })).toMatchObject({ name: "loss", benchmark: LOSS });
  });

  test.each<[string | undefined, Record<string, Benchmark>, string]>([
    [undefined, {}, "no benchmarks are configured"],
    ["loss", {}, 'there is no benchmark "loss": no benchmarks are configured'],
    [undefined, { loss: LOSS, speed: SPEED }, "several are configured, so name one: loss, speed"],
    ["los", { loss: LOSS, speed: SPEED }, 'do you mean "loss"? Configured: loss, speed'],
    ["zzz", { loss: LOSS }, 'there is no benchmark "zzz". Configured: loss.'],
    ["constructor", { loss: LOSS }, "there is no benchmark"],
    ["__proto__", {}, "there is no benchmark"],
  ])("named %p is refused with what there is", (name, configured, why) => {
    const choice = chooseBenchmark(name, configured);
    expect(choice.kind === "refused" && choice.why).toContain(why);
  });

  test.each<[object, string]>([
    [{ command: " " }, "command is empty"],
    [{ metric: "two words" }, "is not a name"],
    [{ protect: ["../data"] }, "leads out of the work directory"],
    [{ protect: ["a/../../data"] }, "leads out of the work directory"],
    [{ protect: ["~/data"] }, "leads out of the work directory"],
    [{ protect: ["!data"] }, "cannot take back"],
    [{ protect: ["*.{py,sh}"] }, "no alternatives in braces"],
    [{ protect: ["**.py"] }, 'write "**/*.py"'],
    [{ artifacts: [" "] }, "artifacts has"],
  ])("with %p cannot be meant", (more, why) => expect(findBenchmarkProblem(benchmark(more))).toContain(why));

  test.each([["data/**"], ["**/*.py"], ["/workspace/eval.py"], ["a/../eval.py"], ["./eval.py"], ["{one}"]])(
    "may protect %p",
    (glob) => expect(findBenchmarkProblem(benchmark({ protect: [glob] }))).toBeNull(),
  );
});

describe("a job to be measured", () => {
  const base = { commit: "c" } as unknown as Job["base"];
  const done = (more: Partial<Job> = {}) =>
    jobIn(
      { kind: "completed", result: "" },
      { base, startedAt: 1, sandbox: { kind: "parked", snapshotID: "s" }, ...more },
    );

  test("has ended, however", () => {
    expect(findMeasuringProblem(done(), "clean", true)).toBeNull();
    const failed = { kind: "failed", since: 1, failure: { code: "stalled", message: "", retryable: true } } as const;
    expect(findMeasuringProblem(done({ state: failed }), "clean", true)).toBeNull();
    for (const kind of ["queued", "interrupted"] as const)
      expect(findMeasuringProblem(done({ state: { kind, since: 1 } }), "clean", true)).toContain("files are not final");
    for (const kind of ["starting", "running"] as const)
      expect(findMeasuringProblem(done({ state: { kind, since: 1, leaseID: "l" } }), "clean", true)).toContain(
        `is ${kind}, so its files are not final`,
      );
  });

  test("is no measurement itself", () => {
    const { task } = done();
    const measures = { jobID: "job_0" } as NonNullable<NonNullable<Job["task"]["run"]>["measures"]>;
    const run = { command: "", params: {}, metrics: {}, files: [], reuse: false, stop: null, measures };
    expect(findMeasuringProblem(done({ task: { ...task, run } }), "clean", true)).toContain("measure job_0");
  });

  test("started from a project's files, or is measured as it is", () => {
    expect(findMeasuringProblem(done({ base: null }), "clean", false)).toContain('Use the setting "snapshot"');
    expect(findMeasuringProblem(done({ base: null }), "snapshot", true)).toContain("Leave protect out");
    expect(findMeasuringProblem(done({ base: null }), "snapshot", false)).toBeNull();
  });
});
