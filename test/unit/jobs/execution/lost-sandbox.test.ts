import { describe, expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { viewRecords } from "../../../../src/views/job-view.ts";
import { gate, inWorld, leaseCount, ORCHESTRATOR } from "../runtime-world.ts";
import { keeping, loseAndGoOn, MIN, readNote, sandboxIDOf, write } from "./lost-sandbox-support.ts";

describe("a job whose sandbox is lost goes on by itself", () => {
  test(
    "with the files of the last moment, under its lease, in the turn it was in; its agent and the user are told",
    keeping(async (world) => {
      const [id = "", other = ""] = await world.start("work 20000 done", "work 90000 fine");
      await world.reaches(id, "running");
      await write(world, id, "of the last moment");
      await loseAndGoOn(world, id);
      expect(await readNote(world, id)).toBe("of the last moment");
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, attempts: 2 });
      expect(leaseCount(world.runtime)).toBe(2);
      const told = world.sessions.prompts.at(-1)?.text ?? "";
      expect(told).toMatch(/Your sandbox was lost at \d\d:\d\d UTC \(the machine crashed\), and you have a new one/);
      expect(told).toContain("nothing you had written is lost");
      const job = await world.reaches(id, "completed");
      expect(job).toMatchObject({ state: { result: "done" }, turns: 1, answers: [] });
      expect(job.notes).toEqual([expect.stringMatching(/lost at .* went on by itself from its files of that moment/)]);
      expect(viewRecords([job])[0]).toMatchObject({ attempts: 2 });
      expect(world.sessions.lostPrompts).toEqual([]);
      expect(world.job(other)).toMatchObject({ state: { kind: "running" }, attempts: 1, notes: [] });
    }),
  );

  test(
    "from its checkpoint where the provider has no last files, and its agent is told of when it is",
    inWorld(async (world) => {
      const [id = ""] = await world.start("until messaged ok");
      await world.reaches(id, "running");
      await write(world, id, "old");
      await world.runtime.lifecycle.checkpoint(await world.runtime.sessionJobs(ORCHESTRATOR), id);
      await write(world, id, "new");
      await loseAndGoOn(world, id);
      expect(await readNote(world, id)).toBe("old");
      expect(world.sessions.prompts.at(-1)?.text).toMatch(/a snapshot taken at \d\d:\d\d UTC: what was written since/);
      expect(world.job(id).notes.join()).toContain("in its newest snapshot");
    }),
  );

  test(
    "not from nothing: without any files it fails and says so",
    inWorld(async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      world.machine.lose(sandboxIDOf(world, id));
      expect((await world.reaches(id, "failed")).state).toMatchObject({
        failure: {
          code: "sandbox_lost",
          retryable: false,
          message: expect.stringContaining("None of its files are left"),
        },
      });
      expect(world.operations("create").length).toBe(1);
    }),
  );

  test(
    "from the beginning if it was lost before its agent was prompted",
    inWorld(async (world) => {
      const held = gate();
      world.sessions.onCall = (name) => (name === "create" ? held.passed : undefined);
      const [id = ""] = await world.start("say done");
      await world.clock.until("it has a sandbox", () => world.job(id).sandbox.kind === "live");
      world.machine.lose(sandboxIDOf(world, id));
      held.open();
      expect(await world.reaches(id, "completed")).toMatchObject({ attempts: 2, state: { result: "done" } });
      expect(world.operations("create").length).toBe(2);
    }),
  );

  test(
    "once: the second loss ends it with sandbox_lost, names its snapshot, and a message goes on from that",
    keeping(async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await loseAndGoOn(world, id);
      await write(world, id, "of the second");
      world.machine.lose(sandboxIDOf(world, id));
      const { state, sandbox } = await world.reaches(id, "failed");
      const snapshotID = sandbox.kind === "parked" ? sandbox.snapshotID : "";
      expect(state).toMatchObject({
        failure: { code: "sandbox_lost", retryable: true, message: expect.stringContaining(snapshotID) },
      });
      expect(world.machine.snapshotIDs()).toEqual([snapshotID]);
      await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 9000 again", interrupt: false });
      await world.reaches(id, "running");
      expect(await readNote(world, id)).toBe("of the second");
      await loseAndGoOn(world, id); // a message begins anew
      await world.reaches(id, "completed");
    }),
  );

  test(
    "two losses within a second end it, with the files of the first",
    keeping(async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await write(world, id, "kept");
      const first = sandboxIDOf(world, id);
      world.machine.lose(first);
      await world.clock.until("another", () => world.machine.sandboxes().some((one) => one.id !== first));
      world.machine.lose(world.machine.sandboxes()[0]?.id ?? "");
      await world.reaches(id, "failed");
      const [snapshot] = world.machine.snapshotIDs();
      expect(world.job(id).sandbox).toEqual({ kind: "parked", snapshotID: snapshot as string });
    }),
  );

  test(
    "not without budget: it fails with budget_exceeded, and its files are kept",
    keeping(async (world) => {
      const [id = ""] = await world.start({ description: "d", prompt: "hang", max_usd: 0.001 });
      await world.reaches(id, "running");
      world.sessions.usdPerAnswer = 1;
      const jobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      world.machine.lose(sandboxIDOf(world, id));
      jobs.update(id, (job) => ({ ...job, modelUsd: 5 }));
      const job = await world.reaches(id, "failed");
      expect(job).toMatchObject({ state: { failure: { code: "budget_exceeded" } }, sandbox: { kind: "parked" } });
      expect(world.operations("create").length).toBe(1);
    }),
  );

  test(
    "its cost is settled at the loss, not when its files have arrived",
    keeping(async (world) => {
      const arrives = gate();
      world.machine.keepsLast = () => arrives.passed.then(() => true);
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      world.machine.lose(sandboxIDOf(world, id));
      await world.clock.advance(2 * MIN);
      expect(world.job(id).compute.since).toBeNull();
      expect(viewRecords([world.job(id)])[0]?.reason).toMatch(/sandbox was lost at .* once its last files are there/);
      arrives.open();
      await world.clock.until("another", () => world.operations("create").length === 2);
    }),
  );

  test(
    "with the answer its agent had finished, for which no sandbox is made",
    keeping(async (world) => {
      const [id = ""] = await world.start("work 2000 finished");
      await world.reaches(id, "running");
      world.sessions.dropsEvents = true; // the plugin has not read it yet
      await world.clock.advance(3_000);
      world.machine.lose(sandboxIDOf(world, id));
      expect(await world.reaches(id, "completed")).toMatchObject({ state: { result: "finished" }, attempts: 1 });
      expect(world.operations("create").length).toBe(1);
      await world.clock.advance(1_000);
      expect(world.job(id).sandbox.kind).toBe("parked");
    }),
  );

  test(
    "with the next message, if that interrupts the turn",
    keeping(async (world) => {
      const arrives = gate();
      world.machine.keepsLast = () => arrives.passed.then(() => true);
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      world.machine.lose(sandboxIDOf(world, id));
      await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say instead", interrupt: true });
      arrives.open();
      expect(await world.reaches(id, "completed")).toMatchObject({ state: { result: "instead" }, turns: 2 });
    }),
  );
});
