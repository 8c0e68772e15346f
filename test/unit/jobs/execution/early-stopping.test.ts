import { describe, expect, test } from "bun:test";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { inWorld, ORCHESTRATOR } from "../runtime-world.ts";
import { begun, exited, followRuns, run } from "./runs-support.ts";

const stop = { metric: "loss", direction: "min", rungs: [10, 20], keep: 0.5 } as const;

describe("early stopping", () => {
  test(
    "stops no run for the number of one that failed or was cancelled: it may have been the first sign of the crash",
    inWorld(async (world) => {
      const started = followRuns(world);
      const commands = ["crashes", "is cancelled", "fair", "poor"];
      const [crashes = "", cancelled = "", fair = "", poor = ""] = await world.start(
        ...commands.map((command) => run(command, { stop })),
      );
      await begun(world, started, 4);
      const processOf = (command: string) => {
        const found = started.find((one) => one.command === command);
        if (!found) throw new Error(`${command} has not started`);
        return found.process;
      };
      processOf("crashes").print("METRIC loss=0 step=10\n");
      processOf("crashes").end(exited(1));
      await world.reaches(crashes, "failed");
      processOf("is cancelled").print("METRIC loss=0 step=10\n");
      const cancelling = cancelJobs(world.runtime, ORCHESTRATOR, [cancelled], null);
      await world.clock.until("it is asked to end", () => processOf("is cancelled").signals.length > 0);
      processOf("is cancelled").end({ kind: "signalled", signal: "SIGTERM" });
      await cancelling;
      processOf("fair").print("METRIC loss=2 step=10\n");
      processOf("poor").print("METRIC loss=3 step=10\n");
      await world.clock.advance(1_000);
      expect(world.job(fair).state.kind).toBe("running");
      expect(world.job(poor).stopped).toEqual({ rung: 10, value: 3, cut: 2 });
    }),
  );

  test(
    "says at the start of a run that no other of its call has the same rule",
    inWorld(async (world) => {
      const noted = async (...tasks: ReturnType<typeof run>[]) =>
        (await world.start(...tasks)).map((id) => world.job(id).notes.join().includes("compares it with no other run"));
      expect(await noted(run("alone", { stop }))).toEqual([true]);
      expect(await noted(run("one", { stop }), run("like it", { stop: { ...stop, rungs: [10, 20] } }))).toEqual([
        false,
        false,
      ]);
      const other = { ...stop, rungs: [10, 30] };
      expect(
        await noted(run("grid", { stop, matrix: { X: [1, 2] } }), run("other", { stop: other }), run("none")),
      ).toEqual([false, false, true, false]);
    }),
  );
});
