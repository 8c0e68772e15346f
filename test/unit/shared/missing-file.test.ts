import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lstatOrNull, nullIfMissing } from "../../../src/shared/missing-file.ts";

const folder = await mkdtemp(join(tmpdir(), "lstat-"));
afterAll(() => rm(folder, { recursive: true }));

test("finds what is there, a dangling link as the link", async () => {
  await writeFile(join(folder, "file"), "");
  await symlink("nowhere", join(folder, "link"));
  expect((await lstatOrNull(join(folder, "file")))?.isFile()).toBe(true);
  expect((await lstatOrNull(join(folder, "link")))?.isSymbolicLink()).toBe(true);
});

test("answers null where nothing lies at the path, also below a file", async () => {
  expect(await lstatOrNull(join(folder, "absent"))).toBeNull();
  expect(await lstatOrNull(join(folder, "file", "below"))).toBeNull();
});

test("throws every other failure: what cannot be read is not absent", async () => {
  await symlink("loop", join(folder, "loop"));
  await expect(lstatOrNull(join(folder, "loop", "file"))).rejects.toThrow("ELOOP");
  await expect(nullIfMissing(Promise.reject(new Error("EACCES")))).rejects.toThrow("EACCES");
});
