import { describe, expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { inWorld, leaseCount, ORCHESTRATOR, startIn, type World } from "../runtime-world.ts";
import { MIN } from "./lost-sandbox-support.ts";
import { begun, exited, followRuns, run } from "./runs-support.ts";

const stop = { metric: "loss", direction: "min", rungs: [10, 20], keep: 0.5 } as const;

/** Starts a run. */
async function begin(world: World, more: object) {
  const started = followRuns(world);
  const [id = ""] = await world.start({ ...run("train"), ...more });
  const { process } = await begun(world, started);
  return { id, process };
}

describe("the output of a run", () => {
  test(
    "is its series, and what never came in it is noted with its end",
    inWorld(async (world) => {
      const { id, process } = await begin(world, { stop, metrics: { acc: "accuracy:" } });
      process.print("METRIC lo");
      await world.clock.advance(500);
      process.print("ss=3\n50% METRIC x=1\nAccuracy: 5\nMETRIC __proto__=1 constructor=2\nMETRIC loss=4");
      process.end(exited(0));
      const job = await world.reaches(id, "completed");
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      expect(sessionJobs.points(id, "loss").map(({ value }) => value)).toEqual([3, 4]);
      expect(Object.keys(job.metrics)).toEqual(["loss", "__proto__", "constructor"]);
      expect(job.notes).toEqual([
        expect.stringContaining("compares it with no other run"),
        expect.stringContaining('The metric "acc" never came'),
        expect.stringContaining('The run reported "loss" 2 times without a step; the first rung is 10'),
        expect.stringContaining('"50% METRIC x=1".'),
      ]);
    }),
  );

  test(
    "is noted to have ended too early where processes of its command run on, unless it has failed anyway",
    inWorld(async (world) => {
      for (const [code, notes] of [
        [0, [expect.stringContaining('in the foreground, or end the command with "wait"')]],
        [1, []],
      ] as const) {
        const { id, process } = await begin(world, {});
        process.leaveRunning();
        process.end(exited(code));
        expect((await world.reaches(id, code === 0 ? "completed" : "failed")).notes).toEqual([...notes]);
      }
    }),
  );

  test(
    "whose command is stopped counts up to its last whole line or state of one, and nothing is said to be missing",
    inWorld(async (world) => {
      const metrics = { acc: "accuracy:", loss: "loss:" };
      const { id, process } = await begin(world, { timeout_minutes: 10, metrics });
      process.print("METRIC step_ms=3\nMETRIC step_ms=1\n\rloss: 0.3\rloss: 0.25\rloss: 0.1");
      process.print(" 1\nloss: 0,2\n\rloss: 0.25\rloss: 0.1");
      await world.clock.until("it is stopped", () => process.signals.length > 0, 10 * MIN);
      process.end({ kind: "signalled", signal: "SIGTERM" });
      const job = await world.reaches(id, "failed");
      expect(job.metrics).toMatchObject({ step_ms: { value: 1 }, loss: { value: 0.25 } });
      expect(job.notes).toEqual([expect.stringContaining('in "loss: 0,2"')]);
      expect(leaseCount(world.runtime)).toBe(0);
    }),
  );

  test(
    "that is cancelled, or whose command is killed, keeps the number of a progress bar",
    inWorld(async (world) => {
      const cancelled = await begin(world, { metrics: { loss: "loss:" } });
      cancelled.process.print("METRIC acc=high\n\rloss: 0.25\rloss: 0.1");
      await world.clock.advance(500);
      const cancelling = cancelJobs(world.runtime, ORCHESTRATOR, [cancelled.id], null);
      cancelled.process.end({ kind: "signalled", signal: "SIGTERM" });
      await world.clock.until("it is parked", () => world.job(cancelled.id).sandbox.kind === "parked");
      await cancelling;
      expect(world.job(cancelled.id).metrics.loss?.value).toBe(0.25);
      expect(world.job(cancelled.id).notes).toEqual([expect.stringContaining('"METRIC acc=high"')]);
      const killed = await begin(world, { metrics: { loss: "loss:" } });
      killed.process.print("\rloss: 0.25\rloss: 0.1");
      killed.process.end({ kind: "signalled", signal: "SIGKILL" });
      expect((await world.reaches(killed.id, "failed")).metrics.loss?.value).toBe(0.25);
    }),
  );

  test(
    "that ends with a traceback is noted where the exit code is 0",
    inWorld(async (world) => {
      const { id, process } = await begin(world, { command: "python3 train.py | tee log" });
      process.print('METRIC loss=3\nTraceback (most recent call last):\n  File "train.py"\nValueError: x\n');
      process.end(exited(0));
      const { notes } = await world.reaches(id, "completed");
      expect(notes).toEqual([
        'The exit code is 0, but near the end of the output is the traceback of "ValueError: x": the program has probably failed, and its numbers may not be final. The exit code of a pipe is that of its last program; "set -o pipefail" before it, in bash, makes it that of the one that fails.',
      ]);
    }),
  );

  test(
    "that goes on after a traceback, with numbers after the texts of its task, is not noted",
    inWorld(async (world) => {
      const { id, process } = await begin(world, { metrics: { loss: "loss:" } });
      process.print('Traceback (most recent call last):\n  File "data.py"\nTimeoutError: x\nretrying\nloss: 0.5\n');
      process.end(exited(0));
      const { metrics, notes } = await world.reaches(id, "completed");
      expect(metrics.loss?.value).toBe(0.5);
      expect(notes).toEqual([]);
    }),
  );

  test(
    "that ends with a traceback longer than what is shown of it is noted",
    inWorld(async (world) => {
      const { id, process } = await begin(world, {});
      process.print(
        `Traceback (most recent call last):\n${'  File "model.py", line 3, in forward\n'.repeat(100)}ValueError: x\n`,
      );
      process.end(exited(0));
      const { notes } = await world.reaches(id, "completed");
      expect(notes).toEqual([expect.stringContaining('the traceback of "ValueError: x"')]);
    }),
  );

  test(
    "of an agent's commands is not read",
    inWorld(async (world) => {
      const [id = ""] = (await startIn(world.runtime, ORCHESTRATOR, "echo METRIC loss=1")).map((job) => job.id);
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      expect(sessionJobs.series(id).size).toBe(0);
    }),
  );
});
