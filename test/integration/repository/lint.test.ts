import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

const SAMPLES: Readonly<Record<string, string>> = {
  "src/jobs/prints.ts": 'console.log("x");\n',
  "src/cli/prints.ts": 'console.log("x");\n',
  "src/jobs/waits.ts": "setTimeout(() => {}, 1);\n",
  "src/shared/clock.ts": "setTimeout(() => {}, 1);\n",
  "src/jobs/any.ts": "export const f = (x: any) => x;\n",
  "src/jobs/a.ts": 'import { b } from "./b.ts";\nexport const a = () => b;\n',
  "src/jobs/b.ts": 'import { a } from "./a.ts";\nexport const b = () => a;\n',
};

let folder = "";
let found: string[] = [];

/** Lints the samples with the repository's configuration in a temporary folder. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lint-"));
  for (const [path, text] of Object.entries({ ...SAMPLES, ".gitignore": "dist/\n" })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  copyFileSync(join(ROOT, "biome.json"), join(folder, "biome.json"));
  const biome = join(ROOT, "node_modules/.bin/biome");
  const { stdout } = Bun.spawnSync([biome, "lint", "--reporter=github", "src"], { cwd: folder });
  found = stdout.toString().split("\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isFound = (level: "error" | "warning", path: string, rule: string): boolean =>
  found.some((line) => line.startsWith(`::${level}`) && line.includes(`/${rule},file=`) && line.includes(`/${path},`));

describe("the linter finds", () => {
  test.each([
    ["src/jobs/prints.ts", "noConsole"],
    ["src/jobs/waits.ts", "noRestrictedGlobals"],
    ["src/jobs/a.ts", "noImportCycles"],
  ])("in %s: %s", (path, rule) => expect(isFound("error", path, rule)).toBe(true));

  test("warnings, which fail the check as well", () => {
    expect(isFound("warning", "src/jobs/any.ts", "noExplicitAny")).toBe(true);
  });
});

describe("the linter allows", () => {
  test.each([
    ["src/cli/prints.ts", "noConsole"],
    ["src/shared/clock.ts", "noRestrictedGlobals"],
  ])("in %s: %s", (path, rule) => expect(isFound("error", path, rule)).toBe(false));
});
