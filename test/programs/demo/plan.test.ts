import { expect, test } from "bun:test";
import { z } from "zod";
import { benchmarkSchema } from "../../../src/config/benchmark.ts";
import { BENCHMARK, CHEATER, CONTROL, screening, VARIANT, VARIANT_FILES } from "../../demo/plan.ts";

test("the benchmark is one, and protects what measures but not what is tried", () => {
  const { error, data } = benchmarkSchema.safeParse(BENCHMARK);
  expect(error && z.prettifyError(error)).toBeUndefined();
  expect(data).toMatchObject({ setting: "clean", repeats: 3 });
  for (const [path] of VARIANT_FILES) expect(path).toStartWith("models/");
  expect(BENCHMARK.protect.some((glob) => glob.startsWith("models"))).toBe(false);
});

test("what is measured stands in a file of the run, not only in its variables", () => {
  const { command, matrix } = screening("job_1");
  for (const name of Object.keys(matrix)) expect(command).toMatch(new RegExp(`\\$${name}.*> recipe.txt`));
  expect(BENCHMARK.command).toContain("$(cat recipe.txt)");
});

test("no seed of the benchmark is one that was screened on", () => {
  for (const command of [CONTROL.command, screening("").command]) expect(command).toContain("--seed 100 ");
  expect(BENCHMARK.repeats).toBeLessThan(100);
});

test("descriptions have 80 characters at most", () => {
  for (const description of [CONTROL.description, VARIANT, CHEATER, screening("").description])
    expect(description.length).toBeLessThanOrEqual(80);
});
