import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FIXTURES, hasPython, PYTHON, python, run, SKILLS } from "./python.ts";

const log = (name: string) => join(FIXTURES, `${name}.log`);

function parse(name: string, ...args: string[]) {
  const { status, stdout, stderr } = python("parameter-golf/parse_log.py", [log(name), ...args]);
  expect(stderr).toBe("");
  return { ...JSON.parse(stdout), exit: status };
}

describe.skipIf(!hasPython)("the log of a parameter-golf run", () => {
  test("gives the score, size, speed and memory of a complete run", () => {
    const { status, step, metrics, scored, artifact, run, warnings } = parse("capped-8xh100", "--final");
    expect({ status, step, scored, artifact }).toEqual({
      status: "scored val_bpb 1.2244 after 13780 steps",
      step: 13780,
      scored: "final_int8_zlib_roundtrip_exact",
      artifact: "int8+zlib",
    });
    expect(metrics).toEqual({
      val_bpb: 1.2243657,
      val_loss: 2.07269931,
      val_bpb_prequant: 1.2172,
      val_loss_prequant: 2.0606,
      quant_gap: 0.00717,
      train_loss: 2.0234,
      train_time_s: 600.038,
      step_avg_ms: 43.54,
      eval_time_s: 1.401,
      peak_mem_mib: 10184,
      bytes_code: 47642,
      bytes_weights: 15815847,
      bytes_total: 15863489,
    });
    expect(run).toMatchObject({ world_size: 8, seed: 1337, model_params: 17059912, gpu_name: "NVIDIA H100 80GB HBM3" });
    expect(warnings).toEqual([expect.stringContaining("stopped by the clock")]);
  });

  test("gives every validation on request", () => {
    expect(parse("capped-8xh100", "--curve").curve).toEqual([
      [0, 4.1077],
      [1000, 1.3805],
      [10000, 1.2477],
      [13780, 1.2172],
    ]);
  });

  test("of eight GPUs of another type says that its time does not count", () => {
    const dir = mkdtempSync(join(tmpdir(), "log-"));
    const other = readFileSync(log("capped-8xh100"), "utf8").replaceAll(
      "NVIDIA H100 80GB HBM3",
      "NVIDIA H200          ",
    );
    writeFileSync(join(dir, "h200.log"), other);
    const { warnings } = JSON.parse(python("parameter-golf/parse_log.py", [join(dir, "h200.log")]).stdout);
    rmSync(dir, { recursive: true });
    expect(warnings[0]).toBe("ran on NVIDIA H200: the time of a full run counts on NVIDIA H100 80GB HBM3 only");
  });

  test("gives only numbers that job_report accepts", () => {
    for (const value of Object.values(parse("proxy-control").metrics)) expect(value).toBeNumber();
  });

  test.each([
    ["compiling", "compiling, warm-up 3 of 20", null, {}],
    ["cut-in-training", "training, step 500 of 1000", 500, { train_loss: 2.4711, step_avg_ms: 348.21 }],
    ["cut-in-score", "trained, no score yet, step 1000 of 1000", 1000, { val_bpb_prequant: 1.3412 }],
    ["out-of-memory", "out of GPU memory, step 1 of 500", 1, { train_loss: 6.9371 }],
    ["no-flash", "crashed: RuntimeError: No available kernel. Aborting execution.", null, {}],
    ["diverged", "diverged at step 250", 500, { train_loss: 2.95 }],
  ])("of a run without score, %s, is told apart: %s", (name, status, step, metrics) => {
    const parsed = parse(name, "--final");
    expect(parsed).toMatchObject({ status, step, scored: null, exit: 1 });
    expect(parsed.metrics).toMatchObject(metrics);
    expect(parsed.metrics).not.toHaveProperty("val_bpb");
  });

  test("is read despite colours, rank prefixes, other line endings and broken bytes", () => {
    const { metrics, run, exit } = parse("garbled", "--final");
    const whole = parse("proxy-control");
    expect({ metrics, run, exit }).toEqual({ metrics: whole.metrics, run: whole.run, exit: 0 });
  });

  test("reports the last of several runs, and says so", () => {
    const { step, run, metrics, warnings } = parse("reused-run-id");
    expect({ step, seed: run.seed }).toEqual({ step: 200, seed: 42 });
    expect(metrics).not.toHaveProperty("bytes_total");
    expect(warnings[0]).toContain("the log holds 2 runs");
  });

  test("takes the last exact score line, or the line named by --score", () => {
    expect(parse("sliding")).toMatchObject({ scored: "final_sliding_window_exact", metrics: { val_bpb: 1.30941001 } });
    expect(parse("sliding").metrics).not.toHaveProperty("quant_gap"); // evaluated in two ways
    const fork = { step: 4838, artifact: "quantized+brotli" };
    expect(parse("fork")).toMatchObject({ ...fork, scored: null, metrics: { val_bpb_prequant: 1.0703 } });
    expect(parse("fork", "--score", "quantized_ttt", "--final")).toMatchObject({
      ...fork,
      exit: 0,
      metrics: { val_bpb: 1.06648301, eval_time_s: 455.312, bytes_total: 15943902 },
    });
  });

  test("is refused by --final when the run is over the size limit", () => {
    const { exit, warnings } = parse("proxy-mlp3", "--final");
    expect({ exit, warnings }).toEqual({ exit: 1, warnings: ["artifact is 168053 bytes over the limit of 16000000"] });
  });

  test("is compared with a control", () => {
    const like = parse("proxy-mlp3", "--against", log("proxy-control"));
    expect(like.metrics.delta_bpb).toBe(-0.01234094);
    expect(like.warnings.join()).not.toContain("not comparable");
  });

  test.each([
    ["proxy-seed42", "seed 42 against 1337"],
    ["proxy-l4", "GPU NVIDIA L4 against NVIDIA H100 80GB HBM3"],
    ["capped-8xh100", "world_size 8 against 1"],
    ["capped-8xh100", "steps 13780 against 1000"],
    ["proxy-seed42", "needs a second seed"],
    ["capped-8xh100", "look for a leak"],
    ["cut-in-score", "no difference to the control"],
  ])("is compared with a control: %s is warned of %s", (name, warning) => {
    expect(parse(name, "--against", log("proxy-control")).warnings.join("\n")).toContain(warning);
  });

  test("is warned of a control with other validation data", () => {
    const dir = mkdtempSync(join(tmpdir(), "log-"));
    const other = readFileSync(log("proxy-control"), "utf8").replace("tokens:62021632", "tokens:1048576");
    writeFileSync(join(dir, "control.log"), other);
    const { run, warnings } = parse("proxy-mlp3", "--against", join(dir, "control.log"));
    rmSync(dir, { recursive: true });
    expect(run.val_tokens).toBe(62021632);
    expect(warnings).toContain("not comparable with the control: val_tokens 62021632 against 1048576");
  });

  test("is reported as missing in one line", () => {
    const { status, stdout, stderr } = python("parameter-golf/parse_log.py", ["nowhere.log"]);
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: "",
      stderr: "cannot read nowhere.log: No such file or directory\n",
    });
  });

  test("never yields a number that it does not contain, wherever it is cut off", () => {
    const program = `
import argparse, json, os, sys, tempfile
sys.path.insert(0, sys.argv[1])
import parse_log
args = argparse.Namespace(score=None, curve=False, against=None, wall=None)
with open(sys.argv[2], "rb") as file: data = file.read()
seen, path = {}, os.path.join(tempfile.mkdtemp(), "cut.log")
for end in range(len(data) + 1):
    with open(path, "wb") as file: file.write(data[:end])
    for name, value in parse_log.report(path, args)["metrics"].items():
        seen.setdefault(name, []).append(value) if value not in seen.get(name, []) else None
os.remove(path); os.rmdir(os.path.dirname(path))
print(json.dumps(seen))`;
    const scripts = join(SKILLS, "parameter-golf/scripts");
    const { stdout, stderr } = run(PYTHON, ["-c", program, scripts, log("proxy-control")]);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual({
      train_loss: [6.9371, 6.1149, 2.853, 2.4711, 2.2954],
      train_time_s: [0.348, 3.482, 69.642, 174.105, 348.21],
      step_avg_ms: [348.21],
      val_loss_prequant: [2.2705],
      val_bpb_prequant: [1.3412],
      peak_mem_mib: [10225],
      bytes_code: [47642],
      bytes_weights: [14102233],
      bytes_total: [14149875],
      val_loss: [2.2717, 2.2716892], // rounded first, then exact
      val_bpb: [1.3419, 1.34189214],
      eval_time_s: [11.24],
      quant_gap: [0.0007, 0.00069],
    });
  });
});
