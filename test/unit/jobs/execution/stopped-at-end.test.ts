import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import type { Job } from "../../../../src/core/job.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { inWorld, ORCHESTRATOR, storedJob, type World } from "../runtime-world.ts";
import { MIN } from "./lost-sandbox-support.ts";
import { begun, followRuns, run, type Started } from "./runs-support.ts";

const OPTIONS = { jobTimeoutMinutes: 60, checkpointMinutes: null };

/** A run has reached its time limit, and its sandbox is being parked until `go` says how that goes. */
async function untilParking(world: World, started: readonly Started[]) {
  let snapshot: "slow" | "taken" | "failed" = "slow";
  world.machine.onSnapshot = async () => {
    while (snapshot === "slow") await new Promise<void>((resolve) => world.clock.after(1_000, resolve));
    if (snapshot === "failed") throw new Error("it is killed");
  };
  const [id = ""] = await world.start(run("train"));
  const { process } = await begun(world, started);
  await world.clock.until("it is stopped", () => process.signals.length > 0, 120 * MIN);
  process.print("epoch 1\n");
  process.end({ kind: "signalled", signal: "SIGTERM" });
  await world.clock.advance(3_000);
  expect(world.job(id)).toMatchObject({ state: { kind: "running" }, sandbox: { kind: "live" } });
  return {
    id,
    go: (how: "taken" | "failed") => {
      snapshot = how;
    },
  };
}

/** Leaves the job as it was when its process was killed: what that process did when it was closed never happened. */
function restore({ stateDir }: World, job: Job): void {
  using database = new Database(sessionFile(stateDir, ORCHESTRATOR));
  database.run("UPDATE jobs SET state = ?, record = ? WHERE id = ?", [job.state.kind, JSON.stringify(job), job.id]);
  database.run("DELETE FROM outbox");
}

describe("a run at its time limit whose sandbox is being parked", () => {
  test(
    "fails and never begins again when OpenCode reloads meanwhile",
    inWorld(async (world) => {
      const started = followRuns(world);
      const { id, go } = await untilParking(world, started);
      const closing = world.close(world.runtime);
      await world.clock.advance(1_000);
      go("taken");
      await closing;
      expect(storedJob(world, id)).toMatchObject({
        state: { kind: "failed", failure: { code: "timed_out" }, result: "epoch 1" },
        sandbox: { kind: "parked" },
        stopFailure: null,
      });
      await world.reopen();
      await world.clock.advance(5 * MIN);
      expect(world.job(id)).toMatchObject({ state: { kind: "failed" }, attempts: 1 });
      expect(world.job(id).notes).toEqual([]);
      expect(started).toHaveLength(1);
    }, OPTIONS),
  );

  test(
    "fails when OpenCode is killed meanwhile, and the next one parks its sandbox",
    inWorld(async (world) => {
      const started = followRuns(world);
      const { id, go } = await untilParking(world, started);
      const killed = storedJob(world, id);
      const closing = world.close(world.runtime);
      await world.clock.advance(1_000);
      go("failed");
      await closing;
      restore(world, killed);
      go("taken");
      await world.reopen();
      const job = await world.reaches(id, "failed");
      expect(job.state).toMatchObject({ failure: { code: "timed_out" } });
      expect(started).toHaveLength(1);
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked", 5 * MIN);
    }, OPTIONS),
  );
});
