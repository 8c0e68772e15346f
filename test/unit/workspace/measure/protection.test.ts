import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createProtection } from "../../../../src/workspace/measure/protection.ts";

const PATHS = [
  "eval.py",
  "data/answers.json",
  "data/deep/more.json",
  "model.py",
  "tools/run.sh",
  "a[1].txt",
  "ünï.txt",
];
const protect = (globs: readonly string[], links: Readonly<Record<string, string>> = {}) =>
  createProtection(globs, {
    paths: [...PATHS, ...Object.keys(links)].map((path) => Buffer.from(path).toString("latin1")),
    links: new Map(Object.entries(links)),
    workdir: "/workspace",
  });

describe("what is protected", () => {
  test("is what a glob matches, what lies below a folder that it names, and nothing else", () => {
    expect(protect(["data/**"]).files).toEqual(["data/answers.json", "data/deep/more.json"]);
    expect(protect(["data"]).files).toEqual(["data/answers.json", "data/deep/more.json"]);
    expect(protect(["*.py"]).files).toEqual(["eval.py", "model.py"]);
    expect(protect(["**/*.json", "eval.py"]).files).toHaveLength(3);
    expect(protect(["/workspace/eval.py", "./tools/../model.py"]).files).toEqual(["eval.py", "model.py"]);
    expect(protect(["a[1].txt"]).files).toEqual(["a[1].txt"]);
    expect(protect(["/workspace"]).files).toHaveLength(PATHS.length);
  });

  test("is named where a glob matches nothing", () => {
    expect(protect(["data/**", "evals/**", "Eval.py"]).unmatched).toEqual(["evals/**", "Eval.py"]);
  });

  test("covers other spellings, files that are not there yet, and the folders above", () => {
    const { covers, isAbove } = protect(["data/**", "eval.py"]);
    for (const path of ["EVAL.PY", "Data/Answers.JSON", "data/new", "eval.py/x"])
      expect([path, covers(path)]).toEqual([path, true]);
    for (const path of ["eval.pyc", "my/eval.py", "database", "model.py"])
      expect([path, covers(path)]).toEqual([path, false]);
    expect([isAbove("data"), isAbove("DATA"), isAbove("tools")]).toEqual([true, true, false]);
    expect(protect(["ünï.txt"]).covers(Buffer.from("u\u0308ni\u0308.txt").toString("latin1"))).toBe(true);
  });

  test("is protected by every name that the project's links give it, and so are the links", () => {
    const links = { latest: "data", "best.json": "latest/answers.json", loop: "loop", out: "/etc" };
    const byLink = protect(["latest/**"], links);
    expect(byLink.files).toEqual(["data/answers.json", "data/deep/more.json", "latest"]);
    for (const path of ["data/answers.json", "latest/answers.json", "latest"])
      expect([path, byLink.covers(path)]).toEqual([path, true]);
    expect(byLink.covers("model.py")).toBe(false);
    const whole = protect(["data/**"], links);
    expect([whole.covers("latest"), whole.covers("best.json")]).toEqual([true, true]); // whoever replaces one leads elsewhere
    expect([whole.covers("out"), whole.covers("loop")]).toEqual([false, false]);
    expect(protect(["data/**"], { self: ".", code: "tools" }).covers("self")).toBe(true);
    expect(protect(["data/**"], { self: ".", code: "tools" }).covers("code")).toBe(false);
  });

  test("never is less than what the globs match, whatever links there are", () => {
    const name = fc.constantFrom("a", "b", "data", "eval.py", "..");
    const target = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("l", "m", "n/o"), target), (links) => {
        const { files, covers } = protect(["data/**", "eval.py"], links);
        for (const path of ["data/answers.json", "data/deep/more.json", "eval.py"])
          expect([files.includes(path), covers(path)]).toEqual([true, true]);
        expect(covers("model.py")).toBe(false);
      }),
    );
  });
});
