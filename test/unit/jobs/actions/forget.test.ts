import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { forgetSession } from "../../../../src/jobs/actions/forget-session.ts";
import { startJobs } from "../../../../src/jobs/actions/start-jobs.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import type { TreeBase } from "../../../../src/workspace/project/capture-tree.ts";
import { storeFolder } from "../../../../src/workspace/project/project-store.ts";
import { CATALOG, inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

test(
  "a deleted session takes its jobs, sandboxes, snapshots and files with it, and no other's",
  inWorld(async (world) => {
    const [running = "", done = ""] = await world.start("hang", "say 1", "say 2");
    const context = { catalog: CATALOG, orchestratorModel: null, forbidden: [], provider: "local" as const };
    const request = { description: "other", prompt: "work 90000 fine" };
    const [other] = await startJobs(world.runtime, [request], { ...context, orchestrator: "ses_other" });
    await world.reaches(done, "completed");
    await world.clock.advance(61_000);
    await world.reaches(running, "running");
    expect(world.job(done).sandbox.kind).toBe("parked");
    const kept = keepWork(world, await world.runtime.sessionJobs(ORCHESTRATOR), done);
    const others = keepWork(world, await world.runtime.sessionJobs("ses_other"), other?.id ?? "");
    const forgotten = forgetSession(world.runtime, ORCHESTRATOR);
    await world.clock.advance(10_000);
    await forgotten;
    await world.clock.advance(160_000);
    expect(world.sessions.running()).toEqual([]);
    expect(world.machine.sandboxes().map(({ spec }) => spec.name)).toEqual([]);
    expect(existsSync(sessionFile(world.stateDir, ORCHESTRATOR))).toBe(false);
    expect([kept, others].map((paths) => paths.map((path) => existsSync(path)))).toEqual([
      [false, false],
      [true, true],
    ]);
    expect(world.runtime.snapshots.list(ORCHESTRATOR)).toEqual([]);
    expect(world.machine.snapshotIDs().length).toBe(1); // the other session's, parked after its end
    const sessionJobs = await world.runtime.sessionJobs("ses_other");
    expect(sessionJobs.get(other?.id ?? "")?.state).toMatchObject({ kind: "completed", result: "fine" });
    expect((await world.runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
  }),
);

test(
  "forgetting a session that never had jobs touches nothing",
  inWorld(async (world) => {
    await forgetSession(world.runtime, "ses_unknown");
    expect(existsSync(sessionFile(world.stateDir, "ses_unknown"))).toBe(false);
  }),
);

function keepWork({ stateDir }: World, sessionJobs: SessionJobs, id: string): string[] {
  const base = { project: "/project" } as TreeBase;
  sessionJobs.update(id, (job) => ({ ...job, base }));
  const folder = storeFolder(stateDir, base.project);
  mkdirSync(join(folder, "jobs", id), { recursive: true });
  writeFileSync(join(folder, `branch.${id}`), "");
  return [join(folder, "jobs", id), join(folder, `branch.${id}`)];
}

/** A job as its store has it. */
