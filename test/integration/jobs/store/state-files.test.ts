import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";

let root: string;
let stateDir: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "state-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  stateDir = mkdtempSync(join(root, "dir-"));
});

test.each([
  ["new", null, 0],
  ["damaged", "no database at all", 1],
] as const)("eight processes that open a %s state at once agree on one", async (_what, content, asides) => {
  if (content !== null) writeFileSync(join(stateDir, "pool.db"), content);
  const module = JSON.stringify(join(import.meta.dir, "../../../../src/jobs/store/pool-store.ts"));
  const code = `const { openPoolStore } = await import(${module});
      const pool = await openPoolStore(${JSON.stringify(stateDir)});
      pool.insertSandbox(String(process.pid), "local", "job", "ses", 1);
      console.log(pool.identity());`;
  const all = Array.from({ length: 8 }, () => Bun.spawn([process.execPath, "-e", code], { stderr: "inherit" }));
  const identities = await Promise.all(all.map((one) => new Response(one.stdout).text()));
  expect(new Set(identities).size).toBe(1);
  expect(readdirSync(stateDir).filter((name) => /\.damaged-.*(?<!-wal|-shm)$/.test(name))).toHaveLength(asides);
  const pool = await openPoolStore(stateDir);
  expect(pool.sandboxes()).toHaveLength(8);
  pool.close();
});

test("what somebody deletes beside an open database costs no record, neither of this process nor of the next", async () => {
  const file = join(stateDir, "pool.db");
  const pool = await openPoolStore(stateDir);
  const insert = (id: string) => pool.insertSandbox(id, "local", "job", "ses", 1);
  insert("before");
  for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix);
  insert("after");
  const module = JSON.stringify(join(import.meta.dir, "../../../../src/jobs/store/pool-store.ts"));
  const code = `const { openPoolStore } = await import(${module});
      const pool = await openPoolStore(${JSON.stringify(stateDir)});
      console.log(pool.sandboxes().map(({ id }) => id).sort().join(" "));
      pool.insertSandbox("other", "local", "job", "ses", 1);
      pool.close();`;
  const other = Bun.spawn([process.execPath, "-e", code], { stderr: "inherit" });
  expect((await new Response(other.stdout).text()).trim()).toBe("after before");
  insert("last");
  pool.close();
  const again = await openPoolStore(stateDir);
  expect(again.sandboxes().map(({ id }) => id).sort()).toEqual(["after", "before", "last", "other"]); // biome-ignore format: one line
  expect(again.damaged()).toEqual([]);
  again.close();
});

test.each([
  ["the log", ["-wal"]],
  ["the log and its index", ["-wal", "-shm"]],
] as const)("%s that somebody deletes costs two processes no record, and both go on", async (_what, suffixes) => {
  const file = join(stateDir, "pool.db");
  const pool = await openPoolStore(stateDir);
  const ids = () =>
    pool
      .sandboxes()
      .map(({ id }) => id)
      .sort();
  const insert = (id: string) => pool.insertSandbox(id, "local", "job", "ses", 1);
  const module = JSON.stringify(join(import.meta.dir, "../../../../src/jobs/store/pool-store.ts"));
  const code = `const { openPoolStore } = await import(${module});
      const pool = await openPoolStore(${JSON.stringify(stateDir)});
      for await (const id of console) {
        pool.insertSandbox(id, "local", "job", "ses", 1);
        console.log(pool.sandboxes().map(({ id }) => id).sort().join(" "));
      }`;
  const other = Bun.spawn([process.execPath, "-e", code], { stdin: "pipe", stderr: "inherit" });
  const output = other.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const insertThere = async (id: string) => {
    other.stdin.write(`${id}\n`);
    return (await output.read()).value?.trim();
  };
  insert("a");
  expect(await insertThere("b")).toBe("a b");
  for (const suffix of suffixes) rmSync(file + suffix);
  insert("c");
  expect(ids()).toEqual(["a", "b", "c"]);
  expect(await insertThere("d")).toBe("a b c d");
  expect(ids()).toEqual(["a", "b", "c", "d"]);
  insert("e");
  expect(await insertThere("f")).toBe("a b c d e f");
  pool.close();
  other.kill();
  await other.exited;
  const again = await openPoolStore(stateDir);
  expect(again.sandboxes()).toHaveLength(6);
  expect(again.damaged()).toEqual([]);
  again.close();
});

test("what a new process has begun where somebody deleted the log is not mixed with what was in that", async () => {
  const file = join(stateDir, "pool.db");
  const pool = await openPoolStore(stateDir);
  const module = JSON.stringify(join(import.meta.dir, "../../../../src/jobs/store/pool-store.ts"));
  const fill = (store: typeof pool, name: string) => {
    for (let i = 0; i < 300; i++) store.insertSandbox(`${name}${i}`.padEnd(200, "-"), "local", "job", "ses", 1);
  };
  fill(pool, "old");
  for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix);
  const code = `const { openPoolStore } = await import(${module});
      const pool = await openPoolStore(${JSON.stringify(stateDir)});
      (${fill})(pool, "new");
      console.log("filled");
      for await (const _ of console);`;
  const other = Bun.spawn([process.execPath, "-e", code], { stdin: "pipe", stderr: "inherit" });
  await other.stdout.getReader().read();
  fill(pool, "last");
  other.kill();
  await other.exited;
  pool.close();
  const again = await openPoolStore(stateDir);
  expect(again.damaged()).toEqual([]);
  expect(again.sandboxes().filter(({ id }) => !id.startsWith("old"))).toHaveLength(600);
  again.close();
});
