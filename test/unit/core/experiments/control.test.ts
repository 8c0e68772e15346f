import { expect, test } from "bun:test";
import { type ControlCandidate, chooseControl } from "../../../../src/core/experiments/control.ts";

/** @param names from the newest to the oldest, with the measurements of each where these are not one */
const chosen = (...names: readonly (string | readonly [string, number])[]) =>
  chooseControl(
    names.map((one): ControlCandidate => {
      const [description, n] = typeof one === "string" ? [one, 1] : one;
      return { group: description, description, params: {}, call: description, n };
    }),
  );

test("a change of the control is none where there is a plain one, however new and often measured it is", () => {
  for (const change of [
    ["baseline + dropout", 5],
    ["baseline+ema", 5],
    ["baseline with label smoothing", 5],
    ["The baseline without dropout", 5],
    ["baseline - warmup", 5],
    ["baseline-free advantage", 5],
    ["control gradient noise", 5],
    ["Baseline removed from reward", 5],
    ["baseline, longer run", 5],
    ["baseline (seed 1, no warmup)", 5],
    ["baseline: lr 0.01", 5],
    ["baseline + 2", 5],
  ] as const)
    for (const plain of ["baseline", "the control", "Unchanged baseline (run 2)"])
      expect([change[0], chosen(change, plain, change)]).toEqual([change[0], plain]);
});

test("words and numbers that only tell runs apart make no change: of such ones the most measured, then the newest", () => {
  for (const plain of [
    "baseline 2",
    "baseline2",
    "baseline-2",
    "baseline_v2",
    "Baseline_V2 (seed 3)",
    "controlv2",
    "control_group",
    "baseline #2",
    "Control group",
    "baseline model v2",
    "baseline code (seed 3)",
    "baseline [run 2 of 3]",
    "baseline-seed-1",
    "control: unchanged code",
    "control 2026-11-29",
    "**baseline**, seeds 1, 2 and 3",
    "baseline (rerun)",
    "baseline v1.2, run2",
  ]) {
    expect([plain, chosen("control + x", plain, "baseline")]).toEqual([plain, plain]);
    expect([plain, chosen(plain, ["baseline", 2])]).toEqual([plain, "baseline"]);
  }
});

test("a word that only begins or ends as a control, or says that there is none, names none", () => {
  for (const other of [
    "baseline-free advantage",
    "baseline free advantage",
    "Control-free guidance",
    "baseline-less reward",
    "controlnet",
    "control2net",
    "baselines",
    "baseline2x",
    "my_baseline",
  ])
    expect([other, chosen(other)]).toEqual([other, null]);
  for (const change of ["baseline2 + dropout", "baseline_dropout", "control-freeze", "baseline-2 without warmup"])
    expect([change, chosen(change), chosen(change, "baseline_v3")]).toEqual([change, change, "baseline_v3"]);
});

test("where none is plain, what the campaign began with is the control, of those that are measured", () => {
  expect(chosen("control + b", ["control + a", 5], "control: order 3")).toBe("control: order 3");
  expect(chosen("control + b", "control + a", ["control: order 3", 0])).toBe("control + a");
  expect(chosen("control + b", ["control", 0])).toBe("control + b");
  expect(chosen("reward without baseline", "dropout")).toBeNull();
  expect(chosen(["control", 0])).toBeNull();
});
