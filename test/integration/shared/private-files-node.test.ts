import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

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
