import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FifoPool } from "../../../../src/sandboxes/local/fifo-pool.ts";
import { toProcessName } from "../../../../src/shared/process-identity.ts";

const root = mkdtempSync(join(tmpdir(), "opa-test-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const SOURCE = join(import.meta.dir, "../../../../src/sandboxes/local");
const BUN = join(import.meta.dir, "../../../../node_modules/.bin/bun");

/** Runs code where `full` is a folder without room, and `closed` one that is read-only. */
function runWithFullDisk(code: string) {
  const [full, closed, free] = ["full", "closed", "free"].map((name) => join(root, name)) as [string, string, string];
  const mounts = `mkdir -p ${full} ${closed} ${free}; mount -t tmpfs -o size=16k none ${full} && mount -t tmpfs -o ro none ${closed} && exec "$0" "$@"`;
  const preamble = `const [full, closed, free] = ${JSON.stringify([full, closed, free])};`;
  const user = process.geteuid?.() === 0 ? "-m" : "-Urm";
  const argv = [user, "sh", "-c", mounts, BUN, "-e", `${preamble}\n${code}`];
  return spawnSync("unshare", argv, { encoding: "utf8" });
}
const canMount = runWithFullDisk("").status === 0;

test.skipIf(!canMount)(
  "a nameless file is made in the next folder where the first is full, and every folder is named",
  () => {
    const { stdout, stderr } = runWithFullDisk(`
    import { readFileSync, readdirSync } from "node:fs";
    import { openAnonymousFile } from "${SOURCE}/anonymous-file.ts";
    const content = Buffer.alloc(100_000, "x");
    for (let times = 0; times < 3; times += 1) {
      const fd = openAnonymousFile(content, [full, free]);
      if (!readFileSync("/proc/self/fd/" + fd).equals(content)) throw new Error("it has another content");
    }
    try { openAnonymousFile(content, [full, closed]); } catch (error) { console.log(error.message); }
    console.log(readdirSync(full), readdirSync(free));`);
    const [full, closed] = [join(root, "full"), join(root, "closed")];
    const said = stdout.trim().split("\n");
    expect([said[0]?.includes(`${full}: ENOSPC`), said[0]?.includes(`${closed}: EROFS`), said[1], stderr]).toEqual([
      true,
      true,
      "[] []",
      "",
    ]);
  },
);

test.skipIf(!canMount)("FIFOs are made in the next folder where the first is read-only", () => {
  const { stdout, stderr } = runWithFullDisk(`
    import { FifoPool } from "${SOURCE}/fifo-pool.ts";
    const pair = await new FifoPool([closed, free]).takePair();
    console.log(pair.length);
    await new FifoPool([closed]).takePair().catch((error) => console.log(error.message));`);
  const said = stdout.trim().split("\n");
  expect([said[0], said[1]?.includes("Read-only file system"), stderr]).toEqual(["2", true, ""]);
});

test.skipIf(process.platform !== "linux")(
  "FIFOs of processes that were killed while they made them are removed",
  async () => {
    const folder = mkdtempSync(join(root, "left-"));
    const own = toProcessName("batch_1");
    const ofDead = own.replace(/\d+$/, (start) => String(Number(start) - 1)); // another process has its id by now
    const kept = [`opa-fifo-${own}-3`, "opa-fifo-of-somebody", "else"];
    for (const name of [...kept, `opa-fifo-${ofDead}-3`, `opa-fifo-${ofDead}-14`])
      writeFileSync(join(folder, name), "");
    const fifos = new FifoPool([folder]);
    for (const { readEnd, writeEnd } of await fifos.takePair()) for (const fd of [readEnd, writeEnd]) closeSync(fd);
    fifos.close();
    expect(readdirSync(folder).sort()).toEqual(kept.sort());
  },
);
