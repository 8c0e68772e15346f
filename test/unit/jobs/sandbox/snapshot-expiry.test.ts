import { expect, test } from "bun:test";
import { forgetSession } from "../../../../src/jobs/actions/forget-session.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { fork, read, takeSnapshot, untilParked, write } from "./snapshots-support.ts";

const DAY = 24 * 60 * 60_000;

const gone = (id: string | null) =>
  new PluginError("snapshot_expired", `Snapshot ${id} no longer exists at Modal.`, { retryable: false });

/** What the machine answers on creations from these snapshots, as Modal does when they have expired. */
const expire = (world: World, ...ids: string[]) => {
  world.machine.onCreate = ({ snapshotID }) => {
    if (snapshotID !== null && ids.includes(snapshotID)) throw gone(snapshotID);
  };
};

const wake = (world: World, job: string) =>
  messageJob(world.runtime, ORCHESTRATOR, { job, message: "work 500 again", interrupt: false });

/** A snapshot of a running job that lives for 30 days. */
async function snapshotOf30Days(world: World, label: string | null = null) {
  const [id = ""] = await world.start("say 1");
  await world.reaches(id, "completed");
  await write(world, id, "note", "kept");
  world.machine.snapshotsExpireAt = world.clock.now() + 30 * DAY;
  const snapshot = await takeSnapshot(world, id, label);
  await untilParked(world, id);
  return { id, snapshot };
}

test(
  "a snapshot of which less than a third of its life is left is renewed by a job that starts from it",
  inWorld(async (world) => {
    const { snapshot } = await snapshotOf30Days(world, "best");
    world.clock.sleepUntil(snapshot.createdAt + 10 * DAY);
    const [early = ""] = await world.start(fork("best"));
    await world.reaches(early, "completed");
    expect(world.runtime.snapshots.find(ORCHESTRATOR, "best")?.expiresAt).toBe(snapshot.expiresAt);

    world.clock.sleepUntil(snapshot.createdAt + 25 * DAY);
    world.machine.snapshotsExpireAt = world.clock.now() + 30 * DAY;
    const [late = ""] = await world.start(fork(snapshot.id));
    await world.reaches(late, "running");
    const renewed = world.runtime.snapshots.find(ORCHESTRATOR, "best");
    expect(renewed).toMatchObject({ id: snapshot.id, label: "best", expiresAt: snapshot.createdAt + 55 * DAY });
    expect(world.job(late).task.snapshotID).toBe(snapshot.id);

    expire(world, snapshot.id); // at the provider only the renewed one is left
    world.clock.sleepUntil(snapshot.createdAt + 40 * DAY);
    const forks = await world.start(fork(snapshot.id), fork("best"), fork(renewed?.storedAs ?? ""));
    for (const one of forks) {
      await world.reaches(one, "running");
      expect(await read(world, one, "note")).toBe("kept");
    }
  }),
);

test(
  "a snapshot that cannot be renewed is used as it is",
  inWorld(async (world) => {
    const { snapshot } = await snapshotOf30Days(world);
    world.clock.sleepUntil(snapshot.createdAt + 25 * DAY);
    world.machine.onSnapshot = () => {
      throw new Error("no room");
    };
    const [one = ""] = await world.start(fork(snapshot.id));
    await world.reaches(one, "running");
    expect(await read(world, one, "note")).toBe("kept");
    expect(world.runtime.snapshots.find(ORCHESTRATOR, snapshot.id)?.expiresAt).toBe(snapshot.expiresAt);
    expect(world.loggedProblems.join()).toContain("could not renew a snapshot");
    world.machine.onSnapshot = () => {};
  }),
);

test(
  "a parked job whose files are read shortly before they expire keeps them",
  inWorld(async (world) => {
    const { id } = await snapshotOf30Days(world);
    const { sandbox } = world.job(id);
    const parkedAs = sandbox.kind === "parked" ? sandbox.snapshotID : "";
    world.clock.sleepUntil(world.clock.now() + 25 * DAY);
    world.machine.snapshotsExpireAt = world.clock.now() + 30 * DAY;
    await world.runtime.jobFiles.read(await world.runtime.sessionJobs(ORCHESTRATOR), id, { use: async () => null });
    world.clock.sleepUntil(world.clock.now() + 20 * DAY);
    expire(world, parkedAs);
    await wake(world, id);
    await world.reaches(id, "running");
    expect(await read(world, id, "note")).toBe("kept");
  }),
);

test(
  "a job that starts from an expired snapshot fails with snapshot_expired, which says what to do",
  inWorld(async (world) => {
    const { id, snapshot } = await snapshotOf30Days(world, "best");
    expire(world, snapshot.id);
    const [one = ""] = await world.start(fork("best"));
    const { state } = await world.reaches(one, "failed");
    expect(state).toMatchObject({ failure: { code: "snapshot_expired", retryable: false } });
    const message = state.kind === "failed" ? state.failure.message : "";
    for (const part of [snapshot.id, "best", id]) expect(message).toContain(part);
  }),
);

test(
  "a creation that fails for whatever reason after its snapshot was due is told as expired, an earlier one is not",
  inWorld(async (world) => {
    const { snapshot } = await snapshotOf30Days(world);
    world.machine.onCreate = ({ snapshotID }) => {
      if (snapshotID === snapshot.id)
        throw new PluginError("sandbox_create_failed", "Sandbox sb-1 is not running.", { retryable: false });
    };
    const codeOf = async () => {
      const [one = ""] = await world.start(fork(snapshot.id));
      const { state } = await world.reaches(one, "failed");
      return state.kind === "failed" && state.failure.code;
    };
    expect(await codeOf()).toBe("sandbox_create_failed");
    world.clock.sleepUntil(snapshot.createdAt + 31 * DAY);
    expect(await codeOf()).toBe("snapshot_expired");
  }),
);

test(
  "waking a job whose parked files have expired says what is left of them",
  inWorld(async (world) => {
    const { id, snapshot } = await snapshotOf30Days(world);
    const { sandbox } = world.job(id);
    expire(world, sandbox.kind === "parked" ? sandbox.snapshotID : "");
    await wake(world, id);
    const { state } = await world.reaches(id, "failed");
    expect(state).toMatchObject({ failure: { code: "snapshot_expired" } });
    expect(state.kind === "failed" && state.failure.message).toContain(`the snapshot ${snapshot.id}`);
  }),
);

test(
  "a snapshot that others need stays until those are gone, and is then removed from the bottom up",
  inWorld(async (world) => {
    world.machine.derives = true;
    await world.reopen();
    const { id, snapshot } = await snapshotOf30Days(world);
    const first = world.machine.snapshotIDs();
    await wake(world, id);
    await world.reaches(id, "completed");
    const second = await untilParked(world, id);
    // The sandbox was made from the snapshot it was parked with first, so the second one needs that.
    expect(world.machine.snapshotIDs()).toEqual([...first, second]);
    const [child = ""] = await world.start(fork(snapshot.id));
    await world.reaches(child, "running");
    await world.runtime.sessionJobs(ORCHESTRATOR);
    const forgetting = forgetSession(world.runtime, ORCHESTRATOR);
    await world.clock.until("the session is forgotten", () => world.machine.sandboxes().length === 0);
    await forgetting;
    await world.runtime.collectGarbage();
    expect(world.machine.snapshotIDs()).toEqual([]);
    expect(world.loggedProblems.filter((line) => line.includes("is needed"))).toEqual([]);
  }),
);

test(
  "garbage collection removes what was held back once the last that needs it has expired",
  inWorld(async (world) => {
    world.machine.derives = true;
    await world.reopen();
    const { id } = await snapshotOf30Days(world);
    const { sandbox } = world.job(id);
    const former = sandbox.kind === "parked" ? sandbox.snapshotID : "";
    world.machine.snapshotsExpireAt = world.clock.now() + 10 * DAY;
    await wake(world, id);
    await world.reaches(id, "completed");
    const later = await untilParked(world, id);
    expect(world.machine.snapshotIDs()).toContain(former);
    expect(world.machine.snapshotIDs()).toContain(later);
    world.clock.sleepUntil(world.clock.now() + 11 * DAY);
    const { snapshotsRemoved, failures } = await world.runtime.collectGarbage();
    expect([snapshotsRemoved.includes(later), snapshotsRemoved.includes(former), failures]).toEqual([true, true, []]);
  }),
);
