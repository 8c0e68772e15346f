import { expect, test } from "bun:test";
import type { OldFiles } from "../../../src/jobs/project/old-files.ts";
import { FileError, type Sandbox } from "../../../src/sandboxes/port.ts";
import { PluginError } from "../../../src/shared/error-code.ts";
import { bytes, gate, inWorld, type World } from "../jobs/runtime-world.ts";
import { errorOf, openTools } from "./tool-host.ts";

/* Tools of a job whose sandbox still gets what has changed in its project. */

const MARK = /\n\[read before the project's newest changes were in, .* read it again before you edit it\]$/;

type Files = Readonly<Record<string, string>>;

/**
 * @param old files that are there so far
 * @param more `staying`: those of them that stay as they are; `now`: the job's own, later
 */
async function openUpdating(world: World, old: Files, more: { staying?: readonly string[]; now?: Files } = {}) {
  const { staying = [], now = {} } = more;
  const creation = gate();
  world.machine.onCreate = () => creation.passed;
  const [jobID = ""] = await world.start("hang");
  await world.clock.until("its model is asked", () => world.sessions.prompts.length > 0);
  const sandbox = {
    workdir: "/workspace",
    async readFile(path: string) {
      const text = old[path];
      if (text === undefined) throw new FileError("file_not_found", `${path} does not exist.`);
      return bytes(text);
    },
  } as unknown as Sandbox;
  let mayRead = true;
  const files: OldFiles = {
    async read(use) {
      const found = mayRead ? await use(sandbox) : null;
      return mayRead ? found : null;
    },
    stays: async (path) => staying.includes(path),
  };
  Object.assign(world.runtime.lifecycle, { oldFiles: () => Promise.resolve(files) });
  return {
    sessionID: world.job(jobID).childSession ?? "",
    /** From now on the files are being changed. */
    change() {
      mayRead = false;
    },
    async finish() {
      mayRead = false;
      world.machine.onCall = () => {
        const [made] = world.machine.sandboxes();
        for (const [path, text] of Object.entries(now)) made?.files.set(`/workspace/${path}`, bytes(text));
        world.machine.onCall = () => {};
      };
      creation.open();
      await world.reaches(jobID, "running");
    },
  };
}

async function isWaiting(world: World, call: Promise<unknown>): Promise<boolean> {
  let waiting = true;
  call.finally(() => {
    waiting = false;
  });
  await world.clock.advance(10);
  return waiting;
}

test(
  "a read goes ahead, and says that it may be old where the file does not stay as it is",
  inWorld(async (world) => {
    const { call, openProgress } = openTools(world);
    const job = await openUpdating(world, { "a.ts": "old", "b.ts": "same" }, { staying: ["b.ts"] });
    const [a, b] = await Promise.all(["a.ts", "b.ts"].map((path) => call("sandbox_read", { path }, job.sessionID)));
    expect(a?.output).toMatch(/^1\told\n\[/);
    expect(a?.output).toMatch(MARK);
    expect(a?.metadata).toMatchObject({ path: "a.ts", old: true });
    expect([b?.output, b?.metadata.old]).toEqual(["1\tsame", undefined]);
    expect(openProgress()).toBe(0);
    await job.finish();
  }),
);

test(
  "writes, edits and commands wait; a file that was read before is written whole only once it was read again",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const job = await openUpdating(world, { "a.ts": "old" }, { now: { "a.ts": "new" } });
    await call("sandbox_read", { path: "a.ts" }, job.sessionID);
    const write = () => call("sandbox_write", { path: "./a.ts", content: "mine" }, job.sessionID);
    const edit = call("sandbox_edit", { path: "a.ts", old_string: "old", new_string: "mine" }, job.sessionID);
    world.machine.onStart = () => {
      throw new PluginError("sandbox_lost", "no program here");
    };
    const [writing, running] = [write(), call("sandbox_exec", { command: "cat a.ts" }, job.sessionID)];
    for (const one of [writing, edit, running]) expect(await isWaiting(world, one)).toBe(true);
    job.change();
    await job.finish();
    expect(errorOf(await writing)?.message).toContain("Read it again with sandbox_read, then write it.");
    expect((await running).output).toContain("no program here");
    expect((await edit).output).toContain("does not contain old_string"); // it sees what is there now
    expect((await write()).output).toContain("Error file_failed");
    expect((await call("sandbox_read", { path: "a.ts" }, job.sessionID)).output).toBe("1\tnew");
    expect((await write()).output).toContain("Wrote 4 bytes");
  }),
);

test(
  "a part of it does not do, all of it in parts does, and an edit is made whatever was read",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const job = await openUpdating(world, { "a.ts": "old" }, { now: { "a.ts": "one\ntwo\nthree\nfour\n" } });
    await call("sandbox_read", { path: "a.ts" }, job.sessionID);
    await job.finish();
    const read = (offset: number, limit: number) => call("sandbox_read", { path: "a.ts", offset, limit }, job.sessionID);
    const write = async () => (await call("sandbox_write", { path: "a.ts", content: "mine" }, job.sessionID)).output;
    for (const [offset, limit] of [[4, 1], [2, 3], [1, 1], [3, 2]] as const) {
      await read(offset, limit);
      expect(await write()).toContain("Error file_failed: You have not read the whole of a.ts since"); // there is a gap
    }
    const edit = { path: "a.ts", old_string: "two", new_string: "2" };
    expect((await call("sandbox_edit", edit, job.sessionID)).output).not.toContain("Error");
    expect(await write()).toContain("Error file_failed");
    await read(2, 1);
    await read(3, 2);
    expect(await write()).toContain("Wrote 4 bytes");
  }),
); // biome-ignore format: a table

test(
  "a file that was read before and is gone is written once that was seen",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const job = await openUpdating(world, { "a.ts": "old" });
    await call("sandbox_read", { path: "a.ts" }, job.sessionID);
    await job.finish();
    const write = () => call("sandbox_write", { path: "a.ts", content: "mine" }, job.sessionID);
    expect((await write()).output).toContain("Error file_failed");
    expect((await call("sandbox_read", { path: "a.ts" }, job.sessionID)).output).toContain("file_not_found");
    expect((await write()).output).toContain("Wrote 4 bytes");
  }),
);

test(
  "what is not there yet is waited for, and so is everything once files are being changed",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const job = await openUpdating(world, { "a.ts": "old" }, { now: { "a.ts": "new", "b.ts": "new too" } });
    const coming = call("sandbox_read", { path: "b.ts" }, job.sessionID);
    expect(await isWaiting(world, coming)).toBe(true);
    job.change();
    const late = call("sandbox_read", { path: "a.ts" }, job.sessionID);
    expect(await isWaiting(world, late)).toBe(true);
    await job.finish();
    expect([(await coming).output, (await late).output]).toEqual(["1\tnew too", "1\tnew"]);
  }),
);
