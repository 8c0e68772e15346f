import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHEAT, PROJECT, VARIANT_FILES } from "../../demo/plan.ts";

const SMALL = ["--train-bytes", "30000", "--val-bytes", "2000"];

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "pocket-golf-"));
  cpSync(PROJECT, dir, { recursive: true });
  for (const [path, text] of VARIANT_FILES) writeFileSync(join(dir, path), text);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function golf(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["golf.mjs", ...args], { cwd: dir, encoding: "utf8" });
  return { status, stdout, stderr };
}

function parseResult(stdout: string) {
  const values = [...stdout.matchAll(/^METRIC (val_bpb|bytes)=(.*)$/gm)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  return Object.fromEntries(values) as { val_bpb: number; bytes: number };
}

const TINY: Record<string, string[]> = {
  ngram: ["--model", "ngram", "--order", "3"],
  mix: ["--model", "mix", "--order", "3", "--cache", "3", "--passes", "1"],
};

describe("a pocket-golf run", () => {
  for (const [model, args] of Object.entries(TINY)) {
    test(`${model} learns, and its artifact alone reproduces the score`, () => {
      const run = golf(...args, ...SMALL, "--out", `out/${model}`);
      expect(run.stderr).toBe("");
      expect(run.stdout).toMatch(/^METRIC sample_bpb=\d\.\d{4} step=1$/m);
      const result = parseResult(run.stdout);
      expect(result.val_bpb).toBeLessThan(4.6); // symbols drawn at random cost 6.2 bits, single letters alone about 4.3
      expect(result.bytes).toBe(readFileSync(join(dir, `out/${model}/model.bin`)).length);
      expect(parseResult(golf("--verify", `out/${model}`).stdout)).toEqual(result);
    });
  }

  test("gives the same model when it is repeated", () => {
    golf(...(TINY.mix ?? []), ...SMALL, "--out", "out/first");
    golf(...(TINY.mix ?? []), ...SMALL, "--out", "out/second");
    expect(readFileSync(join(dir, "out/first/model.bin"))).toEqual(readFileSync(join(dir, "out/second/model.bin")));
  });

  test("trains on the part of the text that its seed chooses, so that seeds differ a little", () => {
    const scores = ["0", "1", "2"].map((seed) => {
      const { stdout } = golf(...(TINY.ngram ?? []), ...SMALL, "--seed", seed, "--out", `out/seed-${seed}`);
      return parseResult(stdout).val_bpb;
    });
    expect(new Set(scores).size).toBe(3);
    expect(Math.max(...scores) - Math.min(...scores)).toBeLessThan(0.3);
  });

  test("inherits its parent's parameters, and refuses a parent of another model", () => {
    golf(...(TINY.ngram ?? []), ...SMALL, "--out", "out/parent");
    const run = golf("--model", "ngram", "--fill", "0.5", ...SMALL, "--from", "out/parent", "--out", "out/child");
    expect(run.stdout).toContain(`{"order":3,"fill":0.5}`);
    const other = golf("--model", "mix", ...SMALL, "--from", "out/parent");
    expect(other.stderr).toBe("golf: --from out/parent is a run of ngram, not of mix\n");
  });
});

describe("verification", () => {
  const claim = (change: object) => {
    const path = join(dir, "out/judged/result.json");
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), ...change }));
  };
  const train = () => golf("--model", "ngram", "--order", "2", ...SMALL, "--out", "out/judged");

  test("refuses a score better than the artifact's", () => {
    train();
    claim({ val_bpb: 1.5 });
    const { status, stderr } = golf("--verify", "out/judged");
    expect(status).toBe(1);
    expect(stderr).toContain("result.json claims 1.5");
  });

  test("refuses an artifact changed after it was scored", () => {
    train();
    const path = join(dir, "out/judged/model.bin");
    const bytes = readFileSync(path);
    const middle = bytes.length >> 1;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 0x10, middle);
    writeFileSync(path, bytes);
    expect(golf("--verify", "out/judged").stderr).toContain("its sha256 differs");
    // With a forged digest the bytes still have to decode to the claimed score.
    claim({ sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex") });
    const { status, stderr } = golf("--verify", "out/judged");
    expect(status).toBe(1);
    expect(stderr).toMatch(/the artifact is damaged|result\.json claims/);
  });
});

test("the demo's cheater gets a number that the project's own measurement does not confirm", () => {
  const honest = parseResult(golf("--model", "ngram", "--order", "3", ...SMALL, "--out", "out/run").stdout).val_bpb;
  const lib = join(dir, "lib/score.mjs");
  const before = readFileSync(lib, "utf8");
  const cheat = spawnSync("sh", ["-c", CHEAT.command.replaceAll("node ", `${process.execPath} `)], {
    cwd: dir,
    encoding: "utf8",
  });
  writeFileSync(lib, before);
  expect(parseResult(cheat.stdout).val_bpb).toBeLessThan(0.7 * honest);
  expect(golf("--verify", "out/run").stderr).toContain("result.json claims");
});

describe("the command line", () => {
  test("refuses an artifact over the cap", () => {
    const { status, stderr } = golf(
      ...(TINY.mix ?? []),
      ...SMALL,
      "--fill",
      "1.2",
      "--cap",
      "3000",
      "--out",
      "out/over",
    );
    expect(status).toBe(2);
    expect(stderr).toMatch(/the artifact has \d+ bytes, the cap is 3000/);
  });

  test("prunes counts until they fit under the cap", () => {
    const run = golf("--model", "ngram", "--order", "4", ...SMALL, "--cap", "3000", "--out", "out/pruned");
    expect(run.status).toBe(0);
    expect(parseResult(run.stdout).bytes).toBeLessThanOrEqual(3000);
  });

  const mistakes: [string[], string][] = [
    [["--order", "3"], "--model is missing; one of ngram, mix"],
    [["--model", "gpt"], `no model "gpt"`],
    [["--model", "ngram", "--cache", "3"], "unknown option --cache"],
    [["--model", "mix", "--order", "many"], "--order must be a number"],
    [["--model", "mix", "--order"], "--order needs a value"],
    [["--model", "mix", "--order", "2.5"], "--order must be a whole number from 1 to 7"],
    [["--model", "mix", "--from", "nowhere"], "--from nowhere cannot be read"],
  ];
  for (const [args, message] of mistakes) {
    test(`explains what is wrong with "${args.join(" ")}"`, () => {
      const { status, stderr } = golf(...args);
      expect(status).toBe(2);
      expect(stderr).toContain(message);
    });
  }
});
