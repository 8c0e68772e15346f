import { describe, expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { gate, leaseCount, ORCHESTRATOR, storedJob, text } from "../runtime-world.ts";
import { keeping, loseAndGoOn, MIN, readNote, sandboxIDOf, write } from "./lost-sandbox-support.ts";

describe("a lost sandbox", () => {
  test(
    "of a cancelled job is not made anew, and its files are kept",
    keeping(async (world) => {
      const arrives = gate();
      world.machine.keepsLast = () => arrives.passed.then(() => true);
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      world.machine.lose(sandboxIDOf(world, id));
      const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
      arrives.open();
      await world.reaches(id, "cancelled");
      await world.clock.advance(1_000);
      await cancelled;
      await world.clock.advance(MIN);
      expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "parked" }, attempts: 1 });
      expect(world.operations("create").length).toBe(1);
    }),
  );

  test(
    "whose job is cancelled while another is made leaves none behind",
    keeping(async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      const making = gate();
      world.machine.onCreate = () => making.passed;
      world.machine.lose(sandboxIDOf(world, id));
      await world.clock.until("it is being made", () => world.operations("create").length === 2);
      const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
      await world.clock.advance(1_000);
      making.open();
      await world.clock.advance(MIN);
      await cancelled;
      expect(world.machine.sandboxes()).toEqual([]);
      expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "parked" } });
      expect(leaseCount(world.runtime)).toBe(0);
    }),
  );

  test(
    "of an ended job that waits to be parked is kept like any other",
    keeping(async (world) => {
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      await write(world, id, "result");
      world.machine.lose(sandboxIDOf(world, id));
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      expect(world.job(id).notes).toEqual([expect.stringContaining("Its files of that moment are kept")]);
      await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 5000 2", interrupt: false });
      await world.reaches(id, "running");
      expect(await readNote(world, id)).toBe("result");
    }),
  );

  test(
    "is kept when it is lost during a checkpoint, and when it is lost while it is parked",
    keeping(async (world) => {
      const [id = ""] = await world.start("until messaged ok");
      await world.reaches(id, "running");
      await write(world, id, "kept");
      world.machine.onSnapshot = (sandboxID) => world.machine.lose(sandboxID);
      const first = sandboxIDOf(world, id);
      await world.runtime.lifecycle.checkpoint(await world.runtime.sessionJobs(ORCHESTRATOR), id);
      await world.clock.until("another", () => world.machine.sandboxes().some((one) => one.id !== first));
      await world.clock.advance(1_000);
      expect(await readNote(world, id)).toBe("kept");
      await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say done", interrupt: true });
      await world.reaches(id, "completed");
      await world.clock.advance(2 * MIN);
      expect(world.job(id).sandbox.kind).toBe("parked");
      expect(world.job(id).notes.join()).not.toContain("Not done yet");
      expect(world.machine.snapshotIDs().length).toBe(1);
    }),
  );

  test(
    "is asked for again when that fails for a moment",
    keeping(async (world) => {
      let failures = 2;
      world.machine.keepsLast = async () => {
        if (failures-- > 0) throw new PluginError("snapshot_failed", "no answer", { retryable: true });
        return true;
      };
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await loseAndGoOn(world, id);
      expect(world.job(id).loss?.files?.kind).toBe("last");
    }),
  );

  test(
    "is asked for by the next process, whether this one noticed the loss, died before it kept the files, or after",
    keeping(async (world) => {
      const [unnoticed = "", noticed = ""] = await world.start("work 20000 one", "work 20000 two");
      for (const id of [unnoticed, noticed]) await world.reaches(id, "running");
      await write(world, unnoticed, "1");
      await write(world, noticed, "2");
      world.machine.keepsLast = () => Promise.reject(new PluginError("snapshot_failed", "dying", { retryable: true }));
      world.machine.lose(sandboxIDOf(world, noticed));
      await world.clock.advance(10);
      expect(storedJob(world, noticed)).toMatchObject({ sandbox: { kind: "live" }, loss: { files: null } });
      const ids = [unnoticed, noticed].map((id) => sandboxIDOf(world, id));
      const closing = world.close(world.runtime);
      world.machine.lose(ids[0] ?? "");
      await closing;
      world.machine.keepsLast = true;
      await world.reopen();
      for (const [id, note] of [
        [unnoticed, "1"],
        [noticed, "2"],
      ] as const) {
        await world.reaches(id, "running");
        expect(await readNote(world, id)).toBe(note);
      }
      for (const id of [unnoticed, noticed]) await world.reaches(id, "completed");
      const told = world.sessions.prompts.slice(-2).map((prompt) => prompt.text);
      for (const one of told) expect(one).toContain("files of its last moment");
    }),
  );

  test(
    "that cannot be reached at a restart is not replaced by a second one",
    keeping(async (world) => {
      const [id = ""] = await world.start("work 20000 one");
      await world.reaches(id, "running");
      await world.close(world.runtime);
      let refusals = 2;
      world.machine.onCall = (call) => {
        if (call === "attach" && refusals-- > 0)
          throw new PluginError("sandbox_lost", "could not be reached", { retryable: true });
      };
      await world.reopen();
      await world.reaches(id, "completed");
      expect(world.operations("create").length).toBe(1);
      expect(world.job(id).attempts).toBe(1);
    }),
  );

  test(
    "is kept and read when it is lost while its files are collected",
    keeping(async (world) => {
      const [id = ""] = await world.start("work 20000 one");
      await world.reaches(id, "running");
      await write(world, id, "kept");
      const first = sandboxIDOf(world, id);
      const lifecycle = world.runtime.lifecycle;
      const jobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      const seen: string[] = [];
      const reading = world.runtime.jobFiles.read(jobs, id, {
        async use(sandbox, source) {
          if (sandbox.id === first) world.machine.lose(first);
          seen.push(source.kind);
          return text(await sandbox.readFile("note", { offset: 0, maxBytes: 9 }));
        },
      });
      let read = "";
      reading.then((content) => (read = content));
      await world.clock.until("it is read", () => read !== "");
      expect([read, seen]).toEqual(["kept", ["sandbox", "snapshot"]]);
      await world.clock.until("it goes on", () => lifecycle.live(id) !== null);
      await world.reaches(id, "completed");
    }),
  );
});
