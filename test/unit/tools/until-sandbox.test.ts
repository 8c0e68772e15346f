import { expect, test } from "bun:test";
import { withNotes } from "../../../src/core/job-notes.ts";
import { PluginError } from "../../../src/shared/error-code.ts";
import { bytes, gate, inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { openTools } from "./tool-host.ts";

/* Tools of a job whose model works while its sandbox is being made. */

/** A job whose model was asked, and whose sandbox is made, or refused, when `creation` is opened. */
async function openEarly(world: World, refusal: PluginError | null = null) {
  const creation = gate();
  world.machine.onCreate = async () => {
    await creation.passed;
    if (refusal) throw refusal;
  };
  const [jobID = ""] = await world.start("hang");
  await world.clock.until("its model is asked", () => world.sessions.prompts.length > 0);
  return { creation, jobID, sessionID: world.job(jobID).childSession ?? "" };
}

/** Whether a call has answered by now. */
async function isOpen(world: World, call: Promise<unknown>): Promise<boolean> {
  let open = true;
  call.finally(() => {
    open = false;
  });
  await world.clock.advance(10);
  return open;
}

test(
  "tools wait for the sandbox and show so; the first to answer tells what came to be known meanwhile, once",
  inWorld(async (world) => {
    const { tools, call, shown, openProgress } = openTools(world);
    expect(tools.length).toBeGreaterThan(0);
    const { creation, jobID, sessionID } = await openEarly(world);
    const calls = ["a", "b"].map((path) => call("sandbox_write", { path, content: path }, sessionID));
    expect(await isOpen(world, Promise.all(calls))).toBe(true);
    expect(shown.map(({ text }) => text)).toEqual(Array(2).fill("waiting for its sandbox: it is starting"));
    await world.clock.advance(10_000);
    expect(shown.length).toBeGreaterThan(2); // what it waits for may have changed
    const jobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    jobs.update(jobID, (job) => withNotes(job, ["It has no network."]));
    creation.open();
    await world.reaches(jobID, "running");
    const outputs = (await Promise.all(calls)).map(({ output }) => output);
    expect(outputs.map((output) => output.includes("Know besides:\n- It has no network.\n\nWrote"))).toEqual([
      true,
      false,
    ]);
    expect(openProgress()).toBe(0);
    const after = await call("sandbox_read", { path: "a" }, sessionID);
    expect(after.output).not.toContain("no network");
  }),
);

test(
  "a command that waited is shown as the command that it is; it counts as the first from then on",
  inWorld(async (world) => {
    const { call, shown } = openTools(world);
    const { creation, jobID, sessionID } = await openEarly(world);
    const running = call("sandbox_exec", { command: "make" }, sessionID);
    await world.clock.advance(4_000);
    expect(world.job(jobID).firstCommandAt).toBeUndefined();
    const at = world.clock.now();
    world.machine.onStart = () => {
      throw new PluginError("sandbox_lost", "no program here");
    };
    creation.open();
    expect((await running).output).toContain("no program here");
    expect(world.job(jobID).firstCommandAt).toBe(at);
    expect(shown.at(-1)?.title).toContain("waiting for its sandbox");
  }),
);

test(
  "a report needs no sandbox",
  inWorld(async (world) => {
    const { call, shown } = openTools(world);
    const { creation, jobID, sessionID } = await openEarly(world);
    const { output } = await call("job_report", { status: "thinking", metrics: { plan: 1 } }, sessionID);
    expect([output, shown, world.job(jobID).status]).toEqual(["Reported.", [], "thinking"]);
    creation.open();
    await world.reaches(jobID, "running");
  }),
);

test(
  "a snapshot of its own waits too",
  inWorld(async (world) => {
    const { call, shown } = openTools(world);
    const { creation, sessionID } = await openEarly(world);
    const taking = call("sandbox_snapshot", { label: "begin" }, sessionID);
    expect(await isOpen(world, taking)).toBe(true);
    expect(shown[0]?.text).toContain("waiting for its sandbox");
    creation.open();
    expect((await taking).output).toContain('"begin"');
  }),
);

test(
  "where the sandbox cannot be had, a waiting tool says why",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const refusal = new PluginError("sandbox_create_failed", "no sandbox today", { retryable: false });
    const { creation, jobID, sessionID } = await openEarly(world, refusal);
    const reading = call("sandbox_read", { path: "a" }, sessionID);
    expect(await isOpen(world, reading)).toBe(true);
    creation.open();
    expect((await reading).output).toBe("Error sandbox_create_failed: no sandbox today");
    await world.reaches(jobID, "failed");
    expect((await call("sandbox_read", { path: "a" }, sessionID)).metadata).toMatchObject({
      error: { code: "not_found" },
    });
  }),
);

test(
  "a tool whose turn is stopped waits no longer",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const { creation, jobID, sessionID } = await openEarly(world);
    const stop = new AbortController();
    const reading = call("sandbox_read", { path: "a" }, sessionID, stop.signal);
    expect(await isOpen(world, reading)).toBe(true);
    stop.abort();
    expect((await reading).output).toContain("Error cancelled");
    creation.open();
    await world.reaches(jobID, "running");
    const [sandbox] = world.machine.sandboxes();
    sandbox?.files.set("/workspace/a", bytes("there"));
    expect((await call("sandbox_read", { path: "a" }, sessionID)).output).toContain("there");
  }),
);
