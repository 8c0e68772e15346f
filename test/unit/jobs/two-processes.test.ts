import { expect, test } from "bun:test";
import { type Job, transition } from "../../../src/core/job.ts";
import { cancelJobs } from "../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../src/jobs/actions/message-job.ts";
import type { Runtime } from "../../../src/jobs/runtime.ts";
import type { SessionJobs } from "../../../src/jobs/session/session-jobs.ts";
import { bytes, gate, inWorld, ORCHESTRATOR, text } from "./runtime-world.ts";

/* OpenCode processes that have the same session open, at once or one after the other. */

test(
  "cancelling a job that another process runs has that process cancel it, and both processes see it",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const other = await world.open();
    const jobsOfOther = await other.sessionJobs(ORCHESTRATOR);
    let cancelled: Job | undefined;
    void cancelJobs(other, ORCHESTRATOR, [id], "no longer wanted").then((jobs) => {
      [cancelled] = jobs;
    });
    await world.clock.until("the call returns", () => cancelled !== undefined);
    expect(cancelled).toMatchObject({ state: { kind: "cancelled" } });
    expect(world.job(id).state).toMatchObject({ kind: "cancelled", reason: "no longer wanted" });
    await world.clock.until("both see it parked", () => {
      jobsOfOther.reload(id);
      return jobsOfOther.get(id)?.sandbox.kind === "parked";
    });
    expect(world.operations("terminate").length).toBe(1);
    expect(world.sessions.running()).toEqual([]);
  }),
);

test(
  "cancelling a job of an unresponsive process fails with the reason, and the request stays until it is read",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { state } = await world.reaches(id, "running");
    const leaseID = "leaseID" in state ? state.leaseID : "";
    const other = await world.open();
    await world.close(world.runtime);
    // As if owned by a process that is alive but stopped: its lease is held, and nobody reads requests.
    const sessionJobs = await other.sessionJobs(ORCHESTRATOR);
    sessionJobs.update(id, (job) => transition(job, { kind: "starting", leaseID }, world.clock.now()));
    const lease = { id: leaseID, jobID: id, orchestrator: ORCHESTRATOR, owner: "1:init", slots: 1, gpu: null } as const;
    other.pool.renewLeases([lease], world.clock.now());
    let failure: Error | undefined;
    cancelJobs(other, ORCHESTRATOR, [id], null).catch((error) => {
      failure = error;
    });
    await world.clock.until("the call gives up", () => failure !== undefined);
    expect(failure).toMatchObject({
      code: "cancelled",
      retryable: true,
      message: expect.stringContaining("runs in another OpenCode process"),
    });
    expect(other.pool.takeCancels(new Set([leaseID]))).toEqual([{ leaseID, reason: null }]);
    // A request ends with its lease: it must not cancel the job's next run.
    other.pool.askToCancel(leaseID, null);
    other.pool.releaseLease(leaseID);
    expect(other.pool.takeCancels(new Set(["lease_other"]))).toEqual([]);
    expect(other.pool.takeCancels(new Set([leaseID]))).toEqual([]);
    world.runtime = other;
  }),
);

test(
  "a job's files are read by two processes at once, one of which parks its sandbox under the other",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start("say done");
      await world.reaches(id, "running");
      const other = await world.open(); // it has the job as running
      const jobsOfOther = await other.sessionJobs(ORCHESTRATOR);
      await world.runtime.lifecycle.live(id)?.writeFile("mine", bytes("so far"));
      await world.reaches(id, "completed");
      const parked = gate();
      const read = (runtime: Runtime, sessionJobs: SessionJobs, before: () => Promise<void>) =>
        runtime.jobFiles.read(sessionJobs, id, {
          use: async (sandbox, source) => {
            if (source.kind === "sandbox") await before();
            return text(await sandbox.readFile("mine", { offset: 0, maxBytes: 100 }));
          },
        });
      const own = read(world.runtime, await world.runtime.sessionJobs(ORCHESTRATOR), () => parked.passed);
      expect(await read(other, jobsOfOther, async () => {})).toBe("so far");
      expect(jobsOfOther.get(id)?.sandbox.kind).toBe("parked");
      parked.open();
      expect(await own).toBe("so far");
      expect(world.machine.sandboxes()).toEqual([]);
    },
    { parkAfterSeconds: 3600 },
  ),
);

test(
  "an interrupted job is resumed by one process only",
  inWorld(async (world) => {
    const [running = "", queued = ""] = await world.start("work 30000 1", "work 1000 2");
    await world.reaches(running, "running");
    await world.close(world.runtime);
    const promptsBefore = world.sessions.prompts.length;
    const runtimes = [await world.open({ maxRunningJobs: 1 }), await world.open({ maxRunningJobs: 1 })] as const;
    const sessions = await Promise.all(runtimes.map((runtime) => runtime.sessionJobs(ORCHESTRATOR)));
    const hasCompleted = (id: string) =>
      sessions.some((sessionJobs) => sessionJobs.reload(id).state.kind === "completed");
    await world.clock.until("both jobs have completed", () => hasCompleted(running) && hasCompleted(queued));
    await world.clock.advance(10_000);
    expect(world.sessions.prompts.length - promptsBefore).toBe(2);
    for (const sessionJobs of sessions)
      expect(sessionJobs.all().map(({ state }) => state)).toMatchObject([{ result: "1" }, { result: "2" }]);
    world.runtime = runtimes[0];
  }),
);

test(
  "a running job of a process that died is queued again when its session is opened",
  inWorld(async (world) => {
    const former = world.runtime;
    const [id = ""] = await world.start("hang");
    const { state } = await world.reaches(id, "running");
    const leaseID = "leaseID" in state ? state.leaseID : "";
    expect(former.pool.isLeaseAlive(leaseID, world.clock.now())).toBe(true);
    former.pool.releaseLease(leaseID); // as happens to the leases of a dead process
    const other = await world.open();
    const states: string[] = [];
    other.registry.onChange(({ job }) => states.push(job.state.kind));
    const sessionJobs = await other.sessionJobs(ORCHESTRATOR);
    expect(states).toEqual(["interrupted", "queued"]);
    expect(sessionJobs.get(id)?.childSession).toBe("ses_1");
  }),
);

test(
  "a process that opens a session takes over its jobs once the former process has suspended them",
  inWorld(async (world) => {
    const [running = "", done = ""] = await world.start("hang", "work 5000 fine");
    await world.reaches(running, "running");
    const next = await world.open();
    const sessionJobs = await next.sessionJobs(ORCHESTRATOR);
    expect(sessionJobs.get(running)?.state.kind).toBe("running");
    await world.clock.advance(7_000);
    expect(sessionJobs.get(done)?.state).toMatchObject({ kind: "completed", result: "fine" });
    await world.close(world.runtime);
    await world.clock.advance(1_000);
    await world.clock.until("it runs again", () => sessionJobs.get(running)?.state.kind === "running");
    await messageJob(next, ORCHESTRATOR, { job: running, message: "say again", interrupt: true });
    await world.clock.until("it answers", () => sessionJobs.get(running)?.state.kind === "completed");
    expect(world.sessions.lostPrompts).toEqual([]);
  }),
);

test(
  "a process that ends interrupts its own jobs only",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 5000 fine");
    await world.reaches(id, "running");
    const second = await world.open();
    await second.sessionJobs(ORCHESTRATOR);
    await world.close(second);
    const third = await world.open();
    expect((await third.sessionJobs(ORCHESTRATOR)).get(id)?.state.kind).toBe("running");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "fine" });
  }),
);
