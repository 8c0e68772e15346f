import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runLabScript } from "../../unit/lab/lab-script.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "lab-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const folder = (name: string) => {
  const path = join(root, name);
  mkdirSync(join(path, "sessions"), { recursive: true });
  return path;
};
const node24 = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));

test.skipIf(!existsSync(node24))("in Node 24 the lab is read exactly as in Bun", async () => {
  const entry = fileURLToPath(new URL("lab-main.ts", import.meta.url));
  const built = await Bun.build({ entrypoints: [entry], target: "node", external: ["bun:sqlite"], format: "esm" });
  const script = join(root, "lab-main.mjs");
  writeFileSync(script, (await built.outputs[0]?.text()) ?? "");
  const ran = Bun.spawnSync([node24, script, folder("node")], { stderr: "pipe" });
  if (ran.exitCode !== 0) throw new Error(ran.stderr.toString());
  expect(JSON.parse(ran.stdout.toString())).toEqual(JSON.parse(JSON.stringify(await runLabScript(folder("bun")))));
});
