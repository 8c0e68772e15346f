import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { forgetSession } from "../../../../src/jobs/actions/forget-session.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import type { TreeBase } from "../../../../src/workspace/project/capture-tree.ts";
import { storeFolder } from "../../../../src/workspace/project/project-store.ts";
import { inWorld, ORCHESTRATOR, startIn, type World } from "../runtime-world.ts";

test(
  "forgetting a session removes its jobs, sandboxes, snapshots and files, and touches no other session",
  inWorld(async (world) => {
    const [running = "", done = ""] = await world.start("hang", "say 1", "say 2");
    const [other] = await startIn(world.runtime, "ses_other", "work 90000 fine");
    await world.reaches(done, "completed");
    await world.clock.advance(61_000);
    await world.reaches(running, "running");
    expect(world.job(done).sandbox.kind).toBe("parked");
    const ownWork = writeKeptWork(world, await world.runtime.sessionJobs(ORCHESTRATOR), done);
    const otherWork = writeKeptWork(world, await world.runtime.sessionJobs("ses_other"), other?.id ?? "");
    const forgotten = forgetSession(world.runtime, ORCHESTRATOR);
    await world.clock.advance(10_000);
    await forgotten;
    await world.clock.advance(160_000);
    expect(world.sessions.running()).toEqual([]);
    expect(world.machine.sandboxes().map(({ spec }) => spec.name)).toEqual([]);
    expect(existsSync(sessionFile(world.stateDir, ORCHESTRATOR))).toBe(false);
    expect([ownWork, otherWork].map((paths) => paths.map((path) => existsSync(path)))).toEqual([
      [false, false],
      [true, true],
    ]);
    expect(world.runtime.snapshots.list(ORCHESTRATOR).newest).toEqual([]);
    expect(world.machine.snapshotIDs().length).toBe(1); // the other session's, parked after its end
    const sessionJobs = await world.runtime.sessionJobs("ses_other");
    expect(sessionJobs.get(other?.id ?? "")?.state).toMatchObject({ kind: "completed", result: "fine" });
    expect((await world.runtime.sessionJobs(ORCHESTRATOR)).all()).toEqual([]);
  }),
);

test(
  "forgetting a session that never had jobs creates no file",
  inWorld(async (world) => {
    await forgetSession(world.runtime, "ses_unknown");
    expect(existsSync(sessionFile(world.stateDir, "ses_unknown"))).toBe(false);
  }),
);

/** Files with a job's changes as they are kept on the host after it has ended. Returns their paths. */
function writeKeptWork({ stateDir }: World, sessionJobs: SessionJobs, id: string): string[] {
  const base = { project: "/project" } as TreeBase;
  sessionJobs.update(id, (job) => ({ ...job, base }));
  const folder = storeFolder(stateDir, base.project);
  mkdirSync(join(folder, "jobs", id), { recursive: true });
  writeFileSync(join(folder, `branch.${id}`), "");
  return [join(folder, "jobs", id), join(folder, `branch.${id}`)];
}
