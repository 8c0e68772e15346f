import { describe, expect, test } from "bun:test";
import type { ProviderName } from "../../../../src/config/provider-names.ts";
import type { Job } from "../../../../src/core/job.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { forgetSession } from "../../../../src/jobs/actions/forget-session.ts";
import type { StartRequest } from "../../../../src/jobs/actions/start-jobs.ts";
import type { Runtime } from "../../../../src/jobs/runtime.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import type { TreeBase } from "../../../../src/workspace/project/capture-tree.ts";
import { inWorld, ORCHESTRATOR, startIn, text, type World } from "../runtime-world.ts";
import { fork, takeSnapshot, untilParked, write } from "./snapshots-support.ts";

/* Sessions of one project start jobs from each other's snapshots by id. */

const LATER = "ses_later";

/** A job of the first session with a file, and a snapshot of it. */
async function snapshotOf(world: World, label: string | null = null) {
  world.runtime.pool.saveProject(ORCHESTRATOR, "project-1");
  const [id = ""] = await world.start("hang");
  await world.reaches(id, "running");
  await write(world, id, "note", "won");
  return { id, snapshot: await takeSnapshot(world, id, label) };
}

async function startLater(runtime: Runtime, project: string | null, ...tasks: StartRequest[]) {
  if (project !== null) runtime.pool.saveProject(LATER, project);
  const jobs = await startIn(runtime, LATER, ...tasks);
  const sessionJobs = await runtime.sessionJobs(LATER);
  return { ids: jobs.map(({ id }) => id), job: (id = jobs[0]?.id ?? ""): Job => sessionJobs.get(id) as Job };
}

const messageOf = ({ state }: Job) =>
  state.kind === "failed" ? `${state.failure.code}: ${state.failure.message}` : "";

/** Deletes the first session, as a user does in OpenCode. */
async function deleteFirst(world: World) {
  const forgotten = forgetSession(world.runtime, ORCHESTRATOR);
  await world.clock.advance(20_000);
  await forgotten;
}

describe.each(["local", "modal"] satisfies ProviderName[])("a snapshot of another session (%s)", (providerName) => {
  const on = (body: (world: World) => Promise<void>) => inWorld(body, {}, { providerName });

  test(
    "starts jobs of a later session of the project, also in another process, with its files and their base",
    on(async (world) => {
      const { id, snapshot } = await snapshotOf(world);
      const base = {
        project: "/project",
        commit: "c1",
        notes: [],
        nested: [],
        emptyFolders: [],
      } as unknown as TreeBase;
      world.runtime.pool.saveBases(snapshot.id, {
        base: { ...base, head: null, tree: "t1", withheld: [] },
        formerBases: [],
      });
      const other = await world.open();
      for (const runtime of [world.runtime, other]) {
        const { job } = await startLater(runtime, "project-1", fork(snapshot.id, "hang"));
        await world.clock.until("the fork runs", () => job().state.kind === "running");
        expect(job()).toMatchObject({ parent: id, task: { snapshotID: snapshot.id }, base: { commit: "c1" } });
        const file = await runtime.lifecycle.live(job().id)?.readFile("note", { offset: 0, maxBytes: 9 });
        expect(text(file)).toBe("won");
      }
    }),
  );

  test(
    "is named by its id only, and does not exist for another project or for a session whose project is not known",
    on(async (world) => {
      const { id, snapshot } = await snapshotOf(world, "best");
      const unknown = messageOf((await startLater(world.runtime, null, fork("snap_none"))).job());
      expect(unknown).toStartWith("invalid_task: ");
      const tell = async (project: string | null, from: string) =>
        messageOf((await startLater(world.runtime, project, fork(from))).job()).replace(
          from,
          from.startsWith("snap_") ? "snap_none" : "x",
        );
      expect(await tell(null, snapshot.id)).toBe(unknown);
      world.runtime.pool.forgetProject(LATER);
      expect(await tell("project-2", snapshot.id)).toBe(unknown);
      world.runtime.pool.forgetProject(LATER);
      // Told alike whether or not there is such a label or job.
      for (const [from, none] of [
        ["best", "none"],
        [id, "job_none"],
      ] as const)
        expect(await tell("project-1", from)).toBe(await tell("project-1", none));
    }),
  );
});

test(
  "a snapshot outlives its session while a job of another may be made from it, and is removed after that",
  inWorld(
    async (world) => {
      const { id, snapshot } = await snapshotOf(world);
      const unused = await takeSnapshot(world, id);
      const { job } = await startLater(world.runtime, "project-1", fork(snapshot.id, "work 60000 done"));
      expect(job().state.kind).toBe("queued");
      await deleteFirst(world);
      const kept = () => world.runtime.pool.allSnapshots().map((one) => one.id);
      expect(kept()).toContain(snapshot.id);
      expect(kept()).not.toContain(unused.id);
      expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([]);
      await world.clock.until("the fork has ended", () => job().state.kind === "completed");
      expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([snapshot.id]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "what a job of another session was parked with is kept while a job starts from it, and replaced after that",
  inWorld(
    async (world) => {
      world.runtime.pool.saveProject(ORCHESTRATOR, "project-1");
      const [id = ""] = await world.start("say 1");
      const first = await untilParked(world, id);
      const { job } = await startLater(world.runtime, "project-1", fork(first, "hang"), fork(first, "hang"));
      await world.clock.until("one of them runs", () => job().state.kind === "running");
      const [sandbox] = world.machine.sandboxes();
      expect(sandbox).toBeDefined();
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      await world.runtime.snapshots.dropFormerParked(sessionJobs, id, "none");
      expect(world.machine.snapshotIDs()).toContain(first);
      void cancelJobs(
        world.runtime,
        LATER,
        (await world.runtime.sessionJobs(LATER)).all().map((one) => one.id),
        null,
      );
      await world.clock.advance(30_000);
      await world.runtime.snapshots.dropFormerParked(sessionJobs, id, "none");
      // The one that never ran has no files of its own: a message may wake it.
      expect(world.machine.snapshotIDs()).toContain(first);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a session that is deleted needs nothing any more, whatever its records say",
  inWorld(
    async (world) => {
      const { snapshot } = await snapshotOf(world);
      await startLater(world.runtime, "project-1", fork(snapshot.id, "hang"));
      await deleteFirst(world);
      const forgotten = forgetSession(world.runtime, LATER);
      await world.clock.advance(20_000);
      await forgotten;
      expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([snapshot.id]);
      expect(world.machine.snapshotIDs()).toEqual([]);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "an expired snapshot of another session fails the job, and nothing else of that session is told",
  inWorld(async (world) => {
    const { id, snapshot } = await snapshotOf(world, "secret label");
    world.machine.onCreate = ({ snapshotID }) => {
      if (snapshotID === snapshot.id) throw new PluginError("snapshot_expired", `No snapshot ${snapshotID}.`);
    };
    const { job } = await startLater(world.runtime, "project-1", fork(snapshot.id));
    await world.clock.until("it fails", () => job().state.kind === "failed");
    expect(messageOf(job())).toContain("snapshot_expired");
    expect(messageOf(job())).toContain(snapshot.id);
    for (const secret of [id, "secret label", ORCHESTRATOR]) expect(messageOf(job())).not.toContain(secret);
  }),
);

test(
  "a renewed snapshot is used under the id that it was told by, from any session",
  inWorld(async (world) => {
    const { snapshot } = await snapshotOf(world);
    world.runtime.pool.saveSnapshot({ ...snapshot, createdAt: 0, expiresAt: world.clock.now() + 1_000 });
    for (const time of [1, 2]) {
      const { ids, job } = await startLater(world.runtime, "project-1", fork(snapshot.id, "hang"));
      await world.clock.until(`fork ${time} runs`, () => job().state.kind === "running");
      const file = await world.runtime.lifecycle.live(ids[0] ?? "")?.readFile("note", { offset: 0, maxBytes: 9 });
      expect(text(file)).toBe("won");
    }
    const [renewed] = world.runtime.pool.allSnapshots();
    expect(renewed?.id).toBe(snapshot.id);
    expect(renewed?.storedAs).not.toBeNull();
  }),
);
