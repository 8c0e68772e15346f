import { expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { transition } from "../../../../src/jobs/core/job.ts";
import { inWorld, ORCHESTRATOR } from "../runtime-world.ts";

/* Two living OpenCode processes that have the same session open. */

test(
  "a job of the other process is cancelled by that process, and both know",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    const other = await world.open();
    const seen = await other.sessionJobs(ORCHESTRATOR);
    let ended: string | null = null;
    void cancelJobs(other, ORCHESTRATOR, [id], "no longer wanted").then(([job]) => {
      ended = job?.state.kind ?? null;
    });
    await world.clock.until("cancelled", () => ended !== null);
    expect(ended as string | null).toBe("cancelled");
    expect(world.job(id).state).toMatchObject({ kind: "cancelled", reason: "no longer wanted" });
    await world.clock.until(
      "both know",
      () => seen.get(id)?.sandbox.kind === "parked" || seen.reload(id) === undefined,
    );
    expect(world.operations("terminate").length).toBe(1);
    expect(world.sessions.running()).toEqual([]);
  }),
);

test(
  "a process that does not answer is named, and the request stands until it looks",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    const { state } = await world.reaches(id, "running");
    const other = await world.open();
    const lease = {
      id: (state as { leaseID: string }).leaseID,
      jobID: id,
      orchestrator: ORCHESTRATOR,
      owner: "1:init",
    };
    await world.close(world.runtime);
    // As of a process that lives and is stopped: its lease is renewed, and nobody looks at requests.
    const sessionJobs = await other.sessionJobs(ORCHESTRATOR);
    sessionJobs.update(id, (job) => transition(job, { kind: "starting", leaseID: lease.id }, world.clock.now()));
    const renew = () => other.pool.renewLeases([{ ...lease, slots: 1, gpu: null }], world.clock.now());
    renew();
    let failure: { code?: string; message?: string; retryable?: boolean } | null = null;
    cancelJobs(other, ORCHESTRATOR, [id], null).catch((error) => {
      failure = error;
    });
    await world.clock.until("it is given up", () => failure !== null);
    expect(failure as unknown).toMatchObject({ code: "cancelled", retryable: true });
    expect((failure as unknown as Error).message).toContain("runs in another OpenCode process");
    expect(other.pool.takeCancels(new Set([lease.id]))).toEqual([{ leaseID: lease.id, reason: null }]);
    // A request that outlives its lease is for nobody: the job's next run is not meant.
    other.pool.askToCancel(lease.id, null);
    other.pool.releaseLease(lease.id);
    expect(other.pool.takeCancels(new Set(["lease_other"]))).toEqual([]);
    expect(other.pool.takeCancels(new Set([lease.id]))).toEqual([]);
    world.runtime = other;
  }),
);

test(
  "an interrupted job is taken up by one of them",
  inWorld(async (world) => {
    const [running = "", queued = ""] = await world.start("work 30000 1", "work 1000 2");
    await world.reaches(running, "running");
    await world.close(world.runtime);
    const prompts = world.sessions.prompts.length;
    const labs = [await world.open({ maxRunningJobs: 1 }), await world.open({ maxRunningJobs: 1 })] as const;
    const registry = await Promise.all(labs.map((runtime) => runtime.sessionJobs(ORCHESTRATOR)));
    const hasEnded = (id: string) => registry.some((sessionJobs) => sessionJobs.reload(id).state.kind === "completed");
    await world.clock.until("both jobs have ended", () => hasEnded(running) && hasEnded(queued));
    await world.clock.advance(10_000);
    expect(world.sessions.prompts.length - prompts).toBe(2);
    for (const sessionJobs of registry)
      expect(sessionJobs.all().map(({ state }) => state)).toMatchObject([{ result: "1" }, { result: "2" }]);
    world.runtime = labs[0];
  }),
);
