import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/*
 * Unit tests are quick because they start no program and no server. A test that needs one belongs to `test/integration`.
 */

const ROOT = join(import.meta.dirname, "../../..");
const FORBIDDEN =
  /node:(?:child_process|cluster|dgram|http2?|https|net|worker_threads)"|\bBun\.(?:build|listen|serve|spawn)/;
const IMPORT = /(?:from|import) "(\.[^"]+)"/g;

/** Forbidden modules and calls in `file` and in the files of `test` it imports; `src` is given its dependencies instead. */
function forbiddenIn(file: string, read: (file: string) => string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const text = read(file);
  const imports = [...text.matchAll(IMPORT)].map(([, path]) => join(dirname(file), path as string));
  const [word] = FORBIDDEN.exec(text) ?? [];
  return [
    ...(word === undefined ? [] : [`${file}: ${word}`]),
    ...imports.filter((path) => path.startsWith("test/")).flatMap((path) => forbiddenIn(path, read, seen)),
  ];
}

const unitTests = readdirSync(join(ROOT, "test/unit"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".test.ts") && !path.startsWith("repository/"))
  .map((path) => join("test/unit", path));

test("no unit test starts a program or a server", () => {
  const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
  expect(unitTests.flatMap((file) => forbiddenIn(file, read))).toEqual([]);
});

test("the check finds a program that a unit test starts, itself or through an import", () => {
  const files: Record<string, string> = {
    "test/unit/a.test.ts": 'import { x } from "../support/x.ts";\nimport { y } from "../../src/y.ts";',
    "test/support/x.ts": 'import { spawn } from "node:child_process";',
    "test/unit/b.test.ts": 'Bun.spawnSync(["true"]);',
  };
  const found = (file: string) => forbiddenIn(file, (path) => files[path] ?? "");
  expect(found("test/unit/a.test.ts")).toEqual(['test/support/x.ts: node:child_process"']);
  expect(found("test/unit/b.test.ts")).toEqual(["test/unit/b.test.ts: Bun.spawn"]);
});
