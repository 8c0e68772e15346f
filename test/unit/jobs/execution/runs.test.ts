import { describe, expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { viewJobs } from "../../../../src/tools/job-views.ts";
import type { FakeProcess } from "../../tools/fake-process.ts";
import { inWorld, leaseCount, ORCHESTRATOR, storedJob } from "../runtime-world.ts";
import { sandboxIDOf } from "./lost-sandbox-support.ts";
import { begun, exited, followRuns, killAndReopen, run } from "./runs-support.ts";

describe("a run", () => {
  test(
    "ends with its command: without a session or a turn, with its exit code and the end of its output, its lease free",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train", { matrix: { LR: [1e-5], NAME: ["a b"] } }));
      const { process, env, command } = await begun(world, started);
      expect(command).toBe("train");
      expect(env).toEqual({ LR: "0.00001", NAME: "a b", PARALLEL_AGENTS_RUN: id });
      for (let line = 1; line <= 100; line++) process.print(`line ${line}\n`);
      process.end(exited(0));
      const job = await world.reaches(id, "completed");
      expect(job).toMatchObject({ exitCode: 0, turns: 0, childSession: null, attempts: 1, notes: [] });
      const { result } = job.state as { result: string };
      expect(result).toStartWith(
        "[… only the end of the output; all of it is in /logs/1.log in the sandbox …]\nline 41\n",
      );
      expect(result).toEndWith("line 100");
      expect(storedJob(world, id)).toMatchObject({ state: { kind: "completed", result }, exitCode: 0 });
      expect(leaseCount(world.runtime)).toBe(0);
      await world.clock.until("it is parked", () => world.job(id).sandbox.kind === "parked");
      expect(world.sessions.prompts).toEqual([]);
      expect(await world.turns(id)).toEqual([]);
    }),
  );

  test.each([
    [exited(3), 3, "ended with exit code 3"],
    [{ kind: "signalled", signal: "SIGSEGV" } as const, 139, "was killed by SIGSEGV"],
  ])("whose command ends with %j fails, with its last lines", (status, exitCode, words) =>
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const { process } = await begun(world, started);
      process.print('Traceback\nValueError: "x"\n');
      process.end(status);
      expect(await world.reaches(id, "failed")).toMatchObject({
        exitCode,
        state: {
          failure: {
            code: "command_failed",
            message: `The command ${words}. Its last lines: "Traceback ⏎ ValueError: 'x'"`,
            retryable: false,
          },
          result: 'Traceback\nValueError: "x"',
        },
      });
    })(),
  );

  test(
    "shows its command and its newest line while it runs, without a write for each",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train \\\n  --lr 1"));
      const { process } = await begun(world, started);
      const seen: unknown[] = [];
      world.runtime.activity.on(() => seen.push(viewJobs(world.runtime, [world.job(id)])[0]?.status));
      for (let line = 1; line <= 1_000; line++) process.print(`line ${line}\n`);
      await world.clock.advance(1_500);
      process.print("later\rnewest\x1b[0m");
      await world.clock.advance(1_500);
      expect(seen).toEqual(["line 1000", "newest"]);
      expect(viewJobs(world.runtime, [world.job(id)])[0]).toMatchObject({
        kind: "run",
        tool: "train \\",
        status: "newest",
      });
      expect(storedJob(world, id).status).toBeNull();
      process.end(exited(0));
      await world.reaches(id, "completed");
      expect(viewJobs(world.runtime, [world.job(id)])[0]?.status).toBeUndefined();
    }),
  );

  test(
    "takes no messages",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const refused = messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "go on", interrupt: true });
      await expect(refused).rejects.toMatchObject({
        code: "invalid_task",
        message: expect.stringContaining(`Start another run with from: "${id}"`),
      });
      (await begun(world, started)).process.end(exited(0));
      await world.reaches(id, "completed");
      expect(await world.turns(id)).toEqual([]);
    }),
  );

  test(
    "begins again once when its sandbox is lost, also without any files, and fails when it is lost again",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      for (const attempt of [1, 2]) {
        const { process } = await begun(world, started, attempt);
        expect(world.job(id)).toMatchObject({ state: { kind: "running" }, attempts: attempt });
        process.print(`try ${attempt}\n`);
        process.break("the sandbox ended");
        world.machine.lose(sandboxIDOf(world, id));
      }
      const job = await world.reaches(id, "failed");
      expect(job).toMatchObject({
        attempts: 2,
        exitCode: null,
        state: { failure: { code: "sandbox_lost", message: expect.stringContaining("does only once") } },
      });
      expect(JSON.stringify(job)).not.toContain("agents_message");
      expect(started).toHaveLength(2);
    }),
  );

  test(
    "begins again when its command was killed by what ended its sandbox",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      (await begun(world, started)).process.end(exited(143));
      await world.clock.advance(500);
      world.machine.lose(sandboxIDOf(world, id));
      (await begun(world, started, 2)).process.end(exited(0));
      expect(await world.reaches(id, "completed")).toMatchObject({ exitCode: 0, attempts: 2 });
    }),
  );

  test(
    "begins again in its sandbox when its OpenCode ended while it ran, once, after what was left of it is ended",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      const first = await begun(world, started);
      first.process.end({ kind: "unknown", reason: "x" }); // as its process dies
      await killAndReopen(world);
      const ended: string[] = [];
      const { onStart } = world.machine;
      world.machine.onStart = (request, sandbox) => {
        if (request.argv.join(" ").includes("/proc/")) ended.push(`${started.length} ${request.argv.at(-1)}`);
        return onStart?.(request, sandbox) as FakeProcess;
      };
      const second = await begun(world, started, 2);
      expect(ended).toEqual([`1 PARALLEL_AGENTS_RUN=${id}`]);
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, attempts: 2 });
      expect(world.job(id).notes.join()).toContain("began again from the start");
      second.process.end({ kind: "unknown", reason: "x" });
      await killAndReopen(world);
      const job = await world.reaches(id, "failed");
      expect(job.state).toMatchObject({
        failure: {
          code: "restart_unrecoverable",
          message: expect.stringMatching(/Its files are kept in the snapshot \w+: start another run from it\.$/),
        },
      });
      expect(started).toHaveLength(2);
    }),
  );

  test(
    "begins anew in its sandbox whenever OpenCode reloads, which counts as no further try, but does when its sandbox is gone",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      for (const time of [1, 2, 3, 4]) {
        (await begun(world, started, time)).process.end({ kind: "unknown", reason: "x" });
        await world.reopen();
      }
      await begun(world, started, 5);
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, attempts: 1 });
      expect(world.job(id).notes).toEqual([expect.stringContaining("began again from the start")]);
      await world.close(world.runtime);
      world.machine.lose(sandboxIDOf(world, id));
      await world.reopen();
      (await begun(world, started, 6)).process.end(exited(0));
      expect(await world.reaches(id, "completed")).toMatchObject({ attempts: 2 });
    }),
  );

  test(
    "that waited or had no sandbox yet when its OpenCode ended just starts",
    inWorld(
      async (world) => {
        const started = followRuns(world);
        const [, id = ""] = await world.start(run("first"), run("second"));
        await begun(world, started);
        started[0]?.process.end({ kind: "unknown", reason: "x" });
        await world.reopen();
        const again = await begun(world, started, 2);
        again.process.end(exited(0));
        (await begun(world, started, 3)).process.end(exited(0));
        expect(await world.reaches(id, "completed")).toMatchObject({ attempts: 1, notes: [] });
      },
      { maxRunningJobs: 1 },
    ),
  );

  test(
    "is run by one of the processes that share its session",
    inWorld(async (world) => {
      const started = followRuns(world);
      const [id = ""] = await world.start(run("train"));
      await begun(world, started);
      const other = await world.open();
      await other.sessionJobs(ORCHESTRATOR);
      await world.clock.advance(60_000);
      expect(started).toHaveLength(1);
      started[0]?.process.end(exited(0));
      await world.reaches(id, "completed");
      const seen = await other.sessionJobs(ORCHESTRATOR);
      await world.clock.until("the other sees its end", () => seen.get(id)?.state.kind === "completed");
      expect(started).toHaveLength(1);
    }),
  );
});
