import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { TESTS_OF, testsOf } from "../../../.ci/changed.mjs";
import { sourceFiles } from "./source-files.ts";

const ROOT = join(import.meta.dirname, "../../..");
const folders = Object.keys(TESTS_OF);

/** Where a sibling folder has an entry, a folder without one would run only its parent's tests, unnoticed. */
const needsEntry = (folder: string) => folders.some((other) => dirname(other) === dirname(folder));

function foldersOfSource(): string[] {
  const found = new Set<string>();
  for (const { path } of sourceFiles())
    for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) found.add(folder);
  return [...found];
}

describe("the tests that `npm run test:changed` runs", () => {
  test("are named for every folder of src", () => {
    const missing = foldersOfSource().filter((folder) => needsEntry(folder) && !hasTests(folder));
    expect(missing).toEqual([]);
  });

  test("are named for no folder that does not exist", () => {
    expect(folders.filter((folder) => !existsSync(join(ROOT, folder)))).toEqual([]);
  });

  test("exist", () => {
    const files = readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" });
    const named = [...new Set(Object.values(TESTS_OF).flat())];
    expect(named.filter((name) => !files.some((file) => file.includes(name) && file.endsWith(".test.ts")))).toEqual([]);
  });

  test("are those of the nearest folder, and the integration tests of the same folder", () => {
    expect(testsOf(["src/jobs/store/database.ts"])).toEqual(["test/integration/jobs/store", "e2e/restart"]);
    expect(testsOf(["src/sandboxes/local/bubblewrap/network.ts"])).toEqual(["contract/local"]);
    expect(testsOf(["test/e2e/jobs.test.ts", "test/unit/repository/size.test.ts", "README.md"])).toEqual([
      "test/e2e/jobs.test.ts",
    ]);
  });
});

/** Whether the folder has an entry, or holds no files itself, so that the entries of its subfolders are enough. */
const hasTests = (folder: string): boolean =>
  folder in TESTS_OF || !sourceFiles().some(({ path }) => dirname(path) === folder);
