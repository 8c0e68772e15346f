import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FIXTURES, hasPython, PYTHON, run, SKILLS } from "./python.ts";

let dir = "";

/** A checkout with data, and a `torchrun` that writes down its call and answers with a recorded log. */
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "proxy-"));
  for (const folder of ["bin", "data/tokenizers", "data/datasets/fineweb10B_sp1024"])
    mkdirSync(join(dir, folder), { recursive: true });
  writeFileSync(join(dir, "train_gpt.py"), "# the script\n");
  writeFileSync(join(dir, "data/tokenizers/fineweb_1024_bpe.model"), "");
  for (const shard of ["000000", "000001"])
    writeFileSync(join(dir, `data/datasets/fineweb10B_sp1024/fineweb_train_${shard}.bin`), "");
  const torchrun = `#!/bin/sh
{ echo "$*"; pwd; env; } > called
cat "$RECORDED"
exit "\${TRAINING_EXIT:-0}"
`;
  writeFileSync(join(dir, "bin/torchrun"), torchrun, { mode: 0o755 });
  symlinkSync(PYTHON, join(dir, "bin/python3"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const read = (path: string) => readFileSync(join(dir, path), "utf8");
function proxy(args: string[], recorded = "proxy-control", env: Record<string, string> = {}) {
  const path = `${join(dir, "bin")}:${process.env.PATH}`;
  return run("sh", [join(SKILLS, "parameter-golf/scripts/run_proxy.sh"), ...args], {
    cwd: dir,
    env: { PATH: path, RECORDED: join(FIXTURES, `${recorded}.log`), ...env },
  });
}

const metricsIn = (text: string) => text.split("\n").filter((line) => line.startsWith("METRIC "));
const withoutMetrics = (text: string) => text.replace(/^METRIC .*\n/gm, "");

describe.skipIf(!hasPython)("a proxy run", () => {
  test("prints its metrics as a run without a model needs them: with their steps while it trains, the score at its end", () => {
    const lines = metricsIn(proxy(["mlp3", "1000"]).stderr);
    expect(lines.slice(0, 6)).toEqual([
      "METRIC train_loss=6.9371 step=1",
      "METRIC train_loss=6.1149 step=10",
      "METRIC train_loss=2.853 step=200",
      "METRIC train_loss=2.4711 step=500",
      "METRIC train_loss=2.2954 step=1000",
      "METRIC val_bpb_prequant=1.3412 step=1000",
    ]);
    expect(lines).toContain("METRIC val_bpb=1.34189214");
    expect(lines).toContain("METRIC bytes_total=14149875");
    expect(lines.filter((line) => /train_loss|val_bpb_prequant/.test(line) && !line.includes(" step="))).toEqual([]);
    expect(metricsIn(proxy(["gone", "381"], "diverged").stderr)).toContainEqual(
      expect.stringMatching(/^METRIC (?:train_loss|val_bpb_prequant)=NaN step=\d+$/),
    );
  });

  test("has fixed steps, a scaled schedule, absolute paths and a directory of its own", () => {
    const { status, stdout } = proxy(["mlp3", "1000"], "proxy-control", { MLP_MULT: "3" });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).metrics.val_bpb).toBe(1.34189214);
    const called = read("runs/mlp3/called").split("\n");
    expect(called[0]).toBe("--standalone --nproc_per_node=1 train_gpt.py");
    expect(called[1]).toEndWith("/runs/mlp3");
    expect(called).toEqual(
      expect.arrayContaining([
        "RUN_ID=mlp3",
        "ITERATIONS=1000",
        "MAX_WALLCLOCK_SECONDS=0",
        "WARMDOWN_ITERS=90",
        "VAL_LOSS_EVERY=0",
        "SEED=1337",
        "VOCAB_SIZE=1024",
        "MLP_MULT=3",
        expect.stringMatching(/^DATA_PATH=\/.*\/fineweb10B_sp1024$/),
        expect.stringMatching(/^TOKENIZER_PATH=\/.*\/fineweb_1024_bpe\.model$/),
      ]),
    );
    expect(JSON.parse(read("runs/mlp3/run.json"))).toMatchObject({
      gpu_count: 1,
      knobs: { MLP_MULT: "3", ITERATIONS: "1000", WARMDOWN_ITERS: "90" },
    });
    expect(JSON.parse(read("runs/mlp3/result.json"))).toEqual(JSON.parse(stdout));
    expect(read("runs/mlp3/train_gpt.py")).toBe("# the script\n");
  });

  test("says when its data will repeat", () => {
    expect(proxy(["long", "1000"]).stderr).toContain("1000 steps want 6 shards, there are 2");
    expect(withoutMetrics(proxy(["short", "381"]).stderr)).toBe("");
  });

  test("is compared with its control", () => {
    expect(proxy(["control", "381"]).status).toBe(0);
    const { stdout } = proxy(["seed42", "381"], "proxy-seed42", { SEED: "42", CONTROL: "runs/control/train.log" });
    expect(JSON.parse(stdout).metrics.delta_bpb).toBe(0.00074787);
  });

  test("fails without a score or over the size limit", () => {
    expect(proxy(["cut", "381"], "cut-in-score").status).toBe(1);
    expect(proxy(["large", "381"], "proxy-mlp3").status).toBe(1);
  });

  test("ends with the exit code and the last lines of a failed training", () => {
    const { status, stdout, stderr } = proxy(["oom", "381"], "out-of-memory", { TRAINING_EXIT: "7" });
    expect(status).toBe(7);
    expect(JSON.parse(stdout).status).toBe("out of GPU memory, step 1 of 500");
    expect(stderr).toContain("CUDA out of memory");
  });

  test("never writes into another run", () => {
    proxy(["control", "381"]);
    const again = proxy(["control", "381"], "proxy-mlp3");
    expect(again.status).toBe(2);
    expect(again.stderr).toContain("runs/control exists");
    expect(JSON.parse(read("runs/control/result.json")).metrics.val_bpb).toBe(1.34189214);
  });

  test("takes its data from one folder and leaves its runs in another, such as two volumes", () => {
    for (const folder of ["datasets", "tokenizers"])
      cpSync(join(dir, "data", folder), join(dir, "volume", folder), { recursive: true });
    rmSync(join(dir, "data"), { recursive: true });
    const roots = { DATA_ROOT: join(dir, "volume"), RUNS_ROOT: join(dir, "results") };
    expect(proxy(["mlp3", "381"], "proxy-control", roots).status).toBe(0);
    expect(read("results/mlp3/called")).toContain(`DATA_PATH=${dir}/volume/datasets/fineweb10B_sp1024\n`);
    expect(existsSync(join(dir, "runs"))).toBe(false);
    expect(proxy(["mlp3", "381"], "proxy-control", roots).stderr).toContain("results/mlp3 exists");
  });

  test("looks for no InfiniBand with several GPUs, unless told to", () => {
    proxy(["one", "381"]);
    proxy(["two", "381"], "proxy-control", { GPUS: "2" });
    proxy(["own", "381"], "proxy-control", { GPUS: "2", NCCL_IB_DISABLE: "0" });
    const set = (name: string) => /^NCCL_IB_DISABLE=(.)$/m.exec(read(`runs/${name}/called`))?.[1];
    expect([set("one"), set("two"), set("own")]).toEqual([undefined, "1", "0"]);
  });

  test("counts the seconds that were not training", () => {
    const { metrics } = JSON.parse(proxy(["control", "381"]).stdout);
    expect(metrics.wall_s).toBeNumber();
    expect(metrics.other_s).toBeCloseTo(metrics.wall_s - metrics.train_time_s - metrics.eval_time_s, 0);
  });

  const gpus = (...names: string[]) =>
    writeFileSync(join(dir, "bin/nvidia-smi"), `#!/bin/sh\ncat <<'END'\n${names.join("\n")}\nEND\n`, { mode: 0o755 });
  const SXM = "NVIDIA H100 80GB HBM3";

  test("of the full kind is stopped by the clock, with the script's own schedule, on eight GPUs", () => {
    gpus(...Array(8).fill(SXM));
    const { status, stderr } = proxy(["final", "full"], "capped-8xh100");
    expect([status, withoutMetrics(stderr)]).toEqual([
      0,
      "run_proxy: 13780 steps want 73 shards, there are 2: data will repeat\n",
    ]);
    const called = read("runs/final/called");
    expect(called).toStartWith("--standalone --nproc_per_node=8 train_gpt.py\n");
    expect(called).toMatch(/^MAX_WALLCLOCK_SECONDS=600$/m);
    expect(called).toMatch(/^ITERATIONS=20000$/m);
    expect(called).not.toContain("WARMDOWN_ITERS");
    expect(called).toMatch(/^NCCL_IB_DISABLE=1$/m);
  });

  test.each([
    ["one H200 among them", [...Array(7).fill(SXM), "NVIDIA H200"]],
    ["four H100", Array(4).fill(SXM)],
    ["another H100", Array(8).fill("NVIDIA H100 NVL")],
    ["none", []],
  ])("of the full kind is refused on %s before it costs anything, unless any GPU will do", (_, names) => {
    gpus(...names);
    const refused = proxy(["final", "full"], "capped-8xh100");
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain(names.at(-1) ?? "no GPU");
    expect(existsSync(join(dir, "runs"))).toBe(false);
    expect(proxy(["final", "full"], "capped-8xh100", { ANY_GPU: "1" }).status).toBe(0);
  });

  test.each([
    [[], {}, "run_proxy.sh NAME STEPS"],
    [["../up", "100"], {}, "NAME may hold"],
    [["a", "0"], {}, "STEPS must be"],
    [["a", "1e3"], {}, "STEPS must be"],
    [["a", "100", "other.py"], {}, "there is no other.py"],
    [["a", "100"], { GPUS: "3" }, "GPUS must be"],
    [["a", "100"], { VOCAB_SIZE: "8192" }, "no data at"],
  ])("called as %p with %p is refused", (args, env, reason) => {
    const { status, stderr } = proxy(args, "proxy-control", env);
    expect(status).toBe(2);
    expect(stderr).toContain(reason);
    expect(existsSync(join(dir, "runs"))).toBe(false);
  });
});
