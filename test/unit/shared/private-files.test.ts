import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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

const node24 = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));

test.skipIf(!existsSync(node24) || process.platform !== "linux")(
  "in Node a file system that takes no folders is refused, not tried for ever",
  () => {
    const source = new URL("../../../src/shared/private-files.ts", import.meta.url);
    const script = `import(${JSON.stringify(source.href)}).then((it) => it.ensurePrivateFolder("/proc/none/state"))`;
    const ran = Bun.spawnSync([node24, "-e", script], { stderr: "pipe", timeout: 30_000 });
    expect({ code: ran.exitCode, says: ran.stderr.toString() }).toMatchObject({
      code: 1,
      says: expect.stringContaining("ENOENT"),
    });
  },
);
