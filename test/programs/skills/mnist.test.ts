import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasNumpy, hasPython, PYTHON, python, run, SKILLS } from "./python.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "mnist-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const SMALL = ["--train", "1500", "--test", "300"];
const digits = (...args: string[]) => python("mnist-frameworks/digits.py", args, dir);
const scripts = join(SKILLS, "mnist-frameworks/scripts");

describe.skipIf(!hasPython)("the digits", () => {
  test("are drawn when MNIST cannot be fetched, and say so", () => {
    const { status, stdout, stderr } = digits(
      "--out",
      "auto/mnist.npz",
      ...SMALL,
      "--url",
      "file:///nowhere/mnist.npz",
    );
    expect(status).toBe(0);
    expect(stderr).toContain("drawing synthetic digits instead");
    const about = JSON.parse(stdout);
    expect(about).toMatchObject({ data: "synthetic", train: 1500, test: 300 });
    expect(JSON.parse(readFileSync(join(dir, "auto/mnist.npz.json"), "utf8"))).toEqual(about);
  });

  test("are determined by the seed", () => {
    const sha = (seed: string) => {
      const args = [
        "--source",
        "synthetic",
        "--train",
        "50",
        "--test",
        "20",
        "--seed",
        seed,
        "--out",
        `seed${seed}.npz`,
      ];
      return JSON.parse(digits(...args).stdout).sha256;
    };
    expect(sha("1")).toBe(sha("1"));
    expect(sha("1")).not.toBe(sha("2"));
  });

  test("are never passed off as MNIST", () => {
    writeFileSync(join(dir, "fake.npz"), "not MNIST");
    const url = ["--url", `file://${join(dir, "fake.npz")}`];
    const wrong = digits("--source", "mnist", "--out", "asked.npz", ...url);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain("what came is not MNIST");
    expect(JSON.parse(digits("--out", "auto.npz", ...SMALL, ...url).stdout).data).toBe("synthetic");
  });

  test("are arrays in NumPy's format and Keras' layout", () => {
    digits("--source", "synthetic", "--out", "layout.npz", "--train", "30", "--test", "20");
    const program = `
import json, struct, zipfile
found = {}
with zipfile.ZipFile("layout.npz") as archive:
    for name in archive.namelist():
        data = archive.read(name)
        size = struct.unpack("<H", data[8:10])[0]
        header = eval(data[10:10 + size])
        body = data[10 + size:]
        found[name] = [list(header["shape"]), header["descr"], (10 + size) % 64, len(body), max(body)]
print(json.dumps(found))`;
    const found = JSON.parse(run(PYTHON, ["-c", program], { cwd: dir }).stdout);
    expect(found).toMatchObject({
      "x_train.npy": [[30, 28, 28], "|u1", 0, 30 * 784, expect.any(Number)],
      "y_train.npy": [[30], "|u1", 0, 30, 9],
      "x_test.npy": [[20, 28, 28], "|u1", 0, 20 * 784, expect.any(Number)],
      "y_test.npy": [[20], "|u1", 0, 20, 9],
    });
  });
});

describe.skipIf(!hasPython)("the reference", () => {
  test("has the agreed number of parameters", () => {
    const program = `import sys; sys.path.insert(0, sys.argv[1]); import reference; print(reference.parameter_count())`;
    expect(run(PYTHON, ["-c", program, scripts]).stdout).toBe("235146\n");
  });

  test("says so when NumPy is missing", () => {
    const program = `
import runpy, sys
sys.modules["numpy"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")`;
    const { status, stderr } = run(PYTHON, ["-c", program, join(scripts, "reference.py")]);
    expect({ status, stderr }).toEqual({ status: 3, stderr: "NumPy is missing: python3 -m pip install numpy\n" });
  });

  test.skipIf(!hasNumpy)("has right gradients", () => {
    expect(python("mnist-frameworks/reference.py", ["--check-gradients"]).status).toBe(0);
  });

  test.skipIf(!hasNumpy)("learns, and says on which data", () => {
    digits("--source", "synthetic", "--out", "learn.npz", ...SMALL);
    const args = ["--data", "learn.npz", "--out", "numpy.json", "--epochs", "12"];
    const { status, stdout } = python("mnist-frameworks/reference.py", args, dir);
    expect(status).toBe(0);
    const result = JSON.parse(readFileSync(join(dir, "numpy.json"), "utf8"));
    expect(JSON.parse(stdout.slice(stdout.indexOf("RESULT ") + 7))).toEqual(result);
    expect(result).toMatchObject({ framework: "numpy", data: "synthetic", params: 235146, train_images: 1500 });
    expect(result.test_acc).toBeGreaterThan(0.9);
    expect(python("mnist-frameworks/check_results.py", ["numpy.json", "--min-acc", "0.9"], dir).status).toBe(0);
    writeFileSync(join(dir, "learn.npz.json"), '{"data": "mnist", "sha256": "of another file"}');
    python("mnist-frameworks/reference.py", [...args.slice(0, 4), "--epochs", "1"], dir);
    expect(JSON.parse(readFileSync(join(dir, "numpy.json"), "utf8")).data).toBe("unknown");
  });
});

describe.skipIf(!hasPython)("the checker of results", () => {
  const SETTINGS = { data: "mnist", train_images: 60000, test_images: 10000, seed: 0, batch: 128, epochs: 3 };
  const GOOD = {
    version: "1.0",
    test_acc: 0.975,
    params: 235146,
    compile_s: 1.2,
    train_s: 6.3,
    s_per_epoch: 2.1,
    ...SETTINGS,
  };

  function check(results: Record<string, unknown>, ...args: string[]) {
    for (const [name, result] of Object.entries(results)) {
      const text = typeof result === "string" ? result : JSON.stringify({ framework: name, ...(result as object) });
      writeFileSync(join(dir, `${name}.json`), text);
    }
    const files = Object.keys(results).map((name) => `${name}.json`);
    const { status, stdout } = python("mnist-frameworks/check_results.py", [...files, ...args], dir);
    return { status, lines: stdout.trimEnd().split("\n") };
  }

  test("sorts valid results by time", () => {
    const { status, lines } = check({ jax: { ...GOOD, s_per_epoch: 0.4, gpu_name: "Tesla T4" }, pytorch: GOOD });
    expect(status).toBe(0);
    expect(lines.map((line) => line.split(/\s+/)[0])).toEqual(["framework", "jax", "pytorch", "2"]);
    expect(lines[1]).toEndWith("Tesla T4");
    expect(lines[2]).toEndWith("cpu");
  });

  test.each([
    ["another network", { params: 235000 }, "235000 parameters instead of 235146"],
    ["low accuracy", { test_acc: 0.91 }, "test_acc 0.9100 is below 0.97"],
    ["per cent", { test_acc: 97.5 }, "not a share between 0 and 1"],
    ["perfection", { test_acc: 1 }, "trained on the test images"],
    ["no accuracy", { test_acc: undefined }, "test_acc is missing"],
    ["a null for a number", { test_acc: null }, "test_acc is missing or not a number"],
    ["text for a number", { train_s: "6" }, "train_s is missing or not a number"],
    ["no data named", { data: "" }, "data is missing"],
    ["compilation in the epochs", { s_per_epoch: 3 }, "compilation goes into compile_s"],
    ["a negative time", { compile_s: -1 }, "a time is negative"],
    ["other data", { data: "synthetic" }, 'all: data differs: "mnist" in jax; "synthetic" in odd'],
    ["other settings", { epochs: 2 }, "all: epochs differs: 3 in jax; 2 in odd"],
  ])("finds %s", (_, change, problem) => {
    const { status, lines } = check({ jax: GOOD, odd: { ...GOOD, ...change } });
    expect(status).toBe(1);
    expect(lines.join("\n")).toContain(problem);
    expect(lines.join("\n")).toContain("jax  ");
  });

  test("still compares the others when one has no result", () => {
    const { status, lines } = check({ jax: GOOD, broken: "Traceback", nan: '{"framework": "nan", "test_acc": NaN}' });
    expect(status).toBe(1);
    expect(lines[1]).toStartWith("jax");
    expect(lines.join("\n")).toContain("broken.json: cannot be read");
    expect(lines.join("\n")).toContain("nan.json: test_acc is missing or not a number");
  });
});
