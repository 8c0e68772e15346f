import { describe, expect, test } from "bun:test";
import { createStartUpRules, importedNames, type Measuring } from "../../../../src/workspace/measure/start-up-files.ts";

const rules = (more: Partial<Measuring> = {}) => {
  const rule = createStartUpRules({
    calls: "python3 eval.py",
    imported: new Set(["json", "model", "loss"]),
    importRoots: ["", "src", "lib"],
    packages: new Set(),
    base: ["eval.py", "model.py", "scoring/loss.py", "pkg/__init__.py"],
    protectedFiles: ["eval.py", "scoring/loss.py"],
    ...more,
  });
  return (path: string, isLink = false) => rule(path, isLink);
};

describe("a file that would get into a benchmark's programs by itself", () => {
  test.each([
    ["sitecustomize.py"], ["deep/usercustomize.py"], ["SiteCustomize.PY"], ["x.pth"], ["a/__pycache__/model.cpython-312.pyc"],
    ["conftest.py"], ["tests/conftest.py"], ["pytest.ini"], ["tox.ini"], [".bashrc"], [".env"], [".env.local"],
    ["ld.so.preload"], [".npmrc"], ["node_modules/x/index.js"], [".venv/bin/python"], ["lib/site-packages/x.py"],
    [".cargo/config.toml"], [".config/pip/pip.conf"],
  ])("is %s, whatever the command", (path) => expect(rules()(path)).not.toBeNull()); // biome-ignore format: a list

  test.each([
    ["json.py"], ["src/random.py"], ["json/__init__.py"], ["random.so"], ["random.cpython-312-x86_64-linux-gnu.so"],
    ["numpy.py"], ["lib/torch/__init__.py"], ["loss.py"],
  ])("is %s, which would be imported in place of a module", (path) =>
    expect(rules()(path)).toContain("in place of the module")); // biome-ignore format: a list

  test("is a package or another file in place of a protected module, and the beginning of its package", () => {
    expect(rules()("scoring/loss/__init__.py")).toContain("protected module scoring/loss");
    expect(rules()("scoring/loss.so")).toContain("protected module scoring/loss");
    expect(rules()("scoring.py")).toContain("folder scoring, which has protected modules");
    expect(rules()("scoring/__init__.py")).toContain("before the protected modules in scoring");
  });

  test("may be a link that has the name alone", () => {
    expect(rules()("json", true)).toContain("in place of the module json");
    expect(rules()("json")).toBeNull();
  });

  test.each([
    ["make bench", "Makefile"], ["make bench", "rules.mk"], ["npm test", "package.json"], ["node x.js", "tsconfig.json"],
    ["pytest -q", "pyproject.toml"], ["cargo bench", "build.rs"], ["go test ./...", "go.mod"], ["just eval", "justfile"],
  ])("is what the command's program obeys: %s, %s", (calls, path) => {
    expect(rules({ calls })(path)).not.toBeNull();
    expect(rules()(path)).toBeNull();
  }); // biome-ignore format: a list

  test("is a module of a package that the project needs", () => {
    expect(rules()("wandb.py")).toBeNull();
    expect(rules({ packages: new Set(["wandb"]) })("wandb.py")).toContain("module wandb");
  });

  test.each([
    ["model.py"],
    ["new.py"],
    ["deep/json.py"],
    ["data.json"],
    ["pkg/json.py"],
    ["weights.bin"],
    ["pkg/__init__.py"],
  ])("is not %s", (path) => expect(rules()(path)).toBeNull());

  test("names what Python code imports", () => {
    const text =
      "import os, numpy as np\nfrom a.b import c\n  import Deep.er\nfrom . import x\n# import no\nimported = 1";
    expect([...importedNames(text)]).toEqual(["os", "numpy", "a", "deep"]);
  });
});
