import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePrivateFolder } from "../../../src/shared/private-files.ts";

test("a folder is made with its parents, for this user alone", () => {
  const root = mkdtempSync(join(tmpdir(), "private-files-"));
  try {
    ensurePrivateFolder(join(root, "a", "b"));
    ensurePrivateFolder(join(root, "a", "b")); // it is there already
    for (const path of ["a", "a/b"]) expect(statSync(join(root, path)).mode & 0o777).toBe(0o700);
  } finally {
    rmSync(root, { recursive: true });
  }
});
