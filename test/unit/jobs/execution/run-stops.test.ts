import { describe, expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { viewJobs } from "../../../../src/tools/job-views.ts";
import { inWorld, leaseCount, ORCHESTRATOR } from "../runtime-world.ts";
import { MIN } from "./lost-sandbox-support.ts";
import { begun, exited, followRuns, run, type Started } from "./runs-support.ts";

describe("a run", () => {
  test(
    "is asked to end when it is cancelled, then killed, and what it printed stays its result",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const { process } = await begun(world, started);
      process.print("epoch 1\n");
      await world.clock.advance(10);
      const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
      await world.clock.until("it is killed", () => process.signals.length === 2);
      process.end({ kind: "signalled", signal: "SIGKILL" });
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      await cancelled;
      expect(process.signals).toEqual(["SIGTERM", "SIGKILL"]);
      expect(process.groupEnds).toHaveLength(1);
      expect(world.job(id)).toMatchObject({
        state: { kind: "cancelled", result: "epoch 1\n[it was killed 30 s after SIGTERM, as it had not ended]" },
        exitCode: null,
      });
      expect(leaseCount(world.runtime)).toBe(0);
    }),
  );

  test(
    "that saves its work when it is cancelled has the time for it, for which the call does not wait",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const { process } = await begun(world, started);
      process.print("epoch 1\n");
      await world.clock.advance(10);
      const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
      await world.clock.advance(5_000);
      await cancelled;
      expect(world.job(id).state).toMatchObject({ kind: "cancelled", result: "epoch 1" });
      expect(world.job(id).notes.join()).toMatch(/^Not done yet: its command has not ended: it got SIGTERM/);
      expect(leaseCount(world.runtime)).toBe(1);
      await world.clock.advance(20_000);
      process.print("saved\n");
      process.end(exited(0));
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      expect(process.signals).toEqual(["SIGTERM"]);
      expect(world.job(id)).toMatchObject({ state: { kind: "cancelled", result: "epoch 1\nsaved" }, notes: [] });
      expect(leaseCount(world.runtime)).toBe(0);
    }),
  );

  test(
    "that is stopped at its limit has time to save its work, but no more than half of what is left for stopping it",
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const [long = "", short = ""] = await world.start(run("long"), run("short", { timeout_minutes: 2 }));
        await begun(world, started, 2);
        for (const [command, id, afterMs, graceMs] of [
          ["short", short, MIN, 15_000],
          ["long", long, 55 * MIN, 30_000],
        ] as const) {
          await world.clock.advance(afterMs);
          const { signals, end } = (started.find((one) => one.command === command) as Started).process;
          await world.clock.until("it is stopped", () => signals.length > 0);
          await world.clock.advance(graceMs - 1_000);
          expect(signals).toEqual(["SIGTERM"]);
          await world.clock.advance(1_000);
          expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
          end({ kind: "signalled", signal: "SIGKILL" });
          expect((await world.reaches(id, "failed")).state).toMatchObject({
            result: `[it was killed ${graceMs / 1000} s after SIGTERM, as it had not ended]`,
          });
        }
      },
      { jobTimeoutMinutes: 60, checkpointMinutes: null },
    ),
  );

  test(
    "is stopped before its time limit, never told to wrap up or taken for stalled, and its snapshot is named",
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const [id = ""] = await world.start(run("train"));
        const { process } = await begun(world, started);
        await world.clock.advance(57 * MIN);
        expect(world.job(id).state.kind).toBe("running");
        expect(viewJobs(world.runtime, [world.job(id)])[0]?.reason).toBeUndefined();
        await world.clock.until("it is stopped", () => process.signals.length > 0);
        process.end({ kind: "signalled", signal: "SIGTERM" });
        const job = await world.reaches(id, "failed");
        expect(job.state).toMatchObject({
          failure: {
            code: "timed_out",
            message: expect.stringMatching(
              /^The run was stopped .* 60 minutes\. Its files are kept in the snapshot \w+: start another run/,
            ),
          },
        });
        expect(job).toMatchObject({ exitCode: null, sandbox: { kind: "parked" } });
        expect(world.sessions.prompts).toEqual([]);
      },
      { jobTimeoutMinutes: 60, stallTimeoutMinutes: 5, checkpointMinutes: null },
    ),
  );
});
