import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasPython, python } from "./python.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "artifact-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (path: string, content: string | Uint8Array) => writeFileSync(join(dir, path), content);
const check = (...args: string[]) => {
  const { status, stdout, stderr } = python("parameter-golf/check_artifact.py", args, dir);
  return { exit: status, stderr, ...(stdout ? JSON.parse(stdout) : {}) };
};

describe.skipIf(!hasPython)("an artifact", () => {
  test.each([
    [15_999_000, 0, true, []],
    [15_999_001, 1, false, ["16000001 bytes are 1 over the limit of 16000000"]],
    [16_776_000, 1, false, ["16777000 bytes are 777000 over the limit of 16000000"]], // would fit into 16 MiB
  ])("of 1000 bytes of code and %d of weights: exit code %d", (weights, exit, fits, problems) => {
    write("train_gpt.py", "#".repeat(1000));
    write("model.ptz", new Uint8Array(weights));
    const found = check("--code", "train_gpt.py", "--weights", "model.ptz");
    expect(found).toMatchObject({ exit, fits, problems, bytes_code: 1000, bytes_weights: weights });
    expect(found.bytes_total).toBe(1000 + weights);
  });

  test("counts the bytes, not the characters, of every file", () => {
    write("a.py", "é");
    write("b.py", "ab");
    write("model.ptz", "x");
    expect(check("--code", "a.py", "--code", "b.py", "--weights", "model.ptz")).toMatchObject({
      exit: 0,
      bytes_code: 4,
    });
  });

  test("must not be the uncompressed checkpoint", () => {
    write("a.py", "");
    write("final_model.pt", "PK\u0003\u0004rest");
    const { exit, problems } = check("--code", "a.py", "--weights", "final_model.pt");
    expect(exit).toBe(1);
    expect(problems).toEqual([expect.stringContaining("uncompressed checkpoint")]);
  });

  test("is not judged when a file is missing", () => {
    write("a.py", "");
    expect(check("--code", "a.py", "--weights", "none.ptz")).toEqual({
      exit: 2,
      stderr: "cannot read none.ptz: No such file or directory\n",
    });
    expect(check("--code", "a.py").exit).toBe(2);
  });
});

describe.skipIf(!hasPython)("a submission", () => {
  const FOLDER = "records/track_10min_16mb/2026-04-01_MLP3x";
  const NUMBERS = { val_loss: 2.05, val_bpb: 1.21, bytes_total: 1004, bytes_code: 4 };
  const SUBMISSION = { author: "A", github_id: "a", name: "MLP 3x", blurb: "wider", date: "2026-04-01", ...NUMBERS };

  function submit(folder: string, submission: unknown, parts = ["README.md", "train_gpt.py", "train_seed1337.log"]) {
    mkdirSync(join(dir, folder), { recursive: true });
    for (const part of parts) write(`${folder}/${part}`, "text");
    write(`${folder}/submission.json`, typeof submission === "string" ? submission : JSON.stringify(submission));
    write("model.ptz", new Uint8Array(1000));
    return check("--submission", folder, "--weights", "model.ptz");
  }

  test("passes when it is complete", () => {
    expect(submit(FOLDER, SUBMISSION)).toMatchObject({ exit: 0, bytes_total: 1004, problems: [] });
    expect(check("--submission", FOLDER)).toMatchObject({ exit: 0, bytes_total: 1004, bytes_weights: null });
  });

  test.each([
    ["a wrong total", FOLDER, { ...SUBMISSION, bytes_total: 1000 }, "says bytes_total 1000, counted 1004"],
    ["a wrong code size", FOLDER, { ...SUBMISSION, bytes_code: 5 }, "says bytes_code 5, counted 4"],
    ["text for a number", FOLDER, { ...SUBMISSION, bytes_total: "1004" }, "bytes_total is not a number"],
    ["a missing key", FOLDER, { ...SUBMISSION, blurb: undefined }, "has no blurb"],
    ["a list", FOLDER, [], "is not an object"],
    ["no JSON", FOLDER, "{", "cannot be read"],
    ["another name", "records/track_10min_16mb/mlp3x", SUBMISSION, "not called YYYY-MM-DD_Title"],
    ["another track", "records/2026-04-01_MLP3x", SUBMISSION, "folder lies in records"],
  ])("with %s does not", (_, folder, submission, problem) => {
    const { exit, problems } = submit(folder, submission);
    expect(exit).toBe(1);
    expect(problems.join("\n")).toContain(problem);
  });

  test("fails when parts are missing", () => {
    const { exit, problems } = submit(FOLDER, SUBMISSION, ["README.md"]);
    expect(exit).toBe(1);
    expect(problems.slice(0, 2)).toEqual(["train_gpt.py is missing", expect.stringContaining("no train log")]);
  });
});
