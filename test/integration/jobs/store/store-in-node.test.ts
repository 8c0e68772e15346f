import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runStoreScript } from "../../../unit/jobs/store/store-script.ts";

let root = "";
let count = 0;
const folder = () => {
  const path = join(root, String(++count));
  mkdirSync(path);
  return path;
};
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "store-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const node24 = fileURLToPath(new URL("../../../../node_modules/node/bin/node", import.meta.url));
const versionOf = (node: string) =>
  existsSync(node) ? Bun.spawnSync([node, "--version"]).stdout.toString().trim() : "";
let script = "";
beforeAll(async () => {
  const entry = fileURLToPath(new URL("store-main.ts", import.meta.url));
  const built = await Bun.build({ entrypoints: [entry], target: "node", external: ["bun:sqlite"], format: "esm" });
  script = join(root, "store-main.mjs");
  writeFileSync(script, (await built.outputs[0]?.text()) ?? "");
});
const run = (node: string) => {
  const ran = Bun.spawnSync([node, script, folder()], { stderr: "pipe" });
  if (ran.exitCode !== 0) throw new Error(ran.stderr.toString());
  return JSON.parse(ran.stdout.toString());
};

test.skipIf(!versionOf(node24))("in Node 24 the other driver says exactly the same", async () => {
  expect(run(node24)).toEqual(await runStoreScript(folder()));
});

const paths = (process.env.PATH ?? "").split(":").map((path) => join(path, "node"));
const node20 = paths.find((node) => versionOf(node).startsWith("v20."));
test.skipIf(!node20)("in Node 20, which has no SQLite, opening says what to use", () => {
  expect(run(node20 ?? "")).toMatchObject({
    code: "config_invalid",
    message: expect.stringMatching(
      /^This runtime \(Node 20\.[\d.]+\) has no SQLite\. Run it with Node 22\.13 .*node_modules\/\.bin\/node .*Bun\.$/,
    ),
  });
});

test("the bundle for Node contains the Node driver", () => {
  expect(readFileSync(script, "utf8")).toContain("node:sqlite");
});
