import { describe, expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { createFakeProcess, type FakeProcess } from "./fake-process.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

/** Tools called from inside a job. */
async function openJob(world: World) {
  const host = openTools(world);
  const { jobID, sessionID } = await openWorker(world);
  return { ...host, jobID, sessionID, inside: (name: string, args: unknown) => host.call(name, args, sessionID) };
}

describe("a job's file tools", () => {
  test(
    "keep to the user's rules for single files, whatever the path is written as",
    inWorld(async (world) => {
      const { inside, jobID } = await openJob(world);
      const rules = [
        { tool: "sandbox_write", pattern: "docs/*", isDenial: true },
        { tool: "sandbox_read", pattern: "/etc/*", isDenial: true },
      ];
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      sessionJobs.update(jobID, (job) => ({ ...job, task: { ...job.task, rules } }));
      for (const path of ["docs/a.md", "./docs/a.md", "src/../docs/a/b.md", "/workspace/docs/a.md"])
        expect(errorOf(await inside("sandbox_write", { path, content: "x" }))?.code).toBe("permission_denied");
      expect(errorOf(await inside("sandbox_read", { path: "../etc/passwd" }))?.code).toBe("permission_denied");
      expect(errorOf(await inside("sandbox_write", { path: "docs.md", content: "x" }))).toBeUndefined();
    }),
  );

  test(
    "write, read with line numbers, and edit a text that occurs once",
    inWorld(async (world) => {
      const { inside } = await openJob(world);
      expect((await inside("sandbox_write", { path: "a.txt", content: "é\ntwo\ntwo\n" })).metadata).toEqual({
        path: "a.txt",
        bytes: 11,
      });
      expect((await inside("sandbox_read", { path: "/workspace/a.txt" })).output).toBe("1\té\n2\ttwo\n3\ttwo");
      const twice = await inside("sandbox_edit", { path: "a.txt", old_string: "two", new_string: "2" });
      expect(errorOf(twice)).toMatchObject({ code: "file_failed", message: expect.stringContaining("2 times") });
      const all = await inside("sandbox_edit", {
        path: "a.txt",
        old_string: "two",
        new_string: "$&",
        replace_all: true,
      });
      expect(all.metadata).toEqual({ path: "a.txt", replaced: 2 });
      expect((await inside("sandbox_read", { path: "a.txt", offset: 2, limit: 1 })).output).toBe(
        "2\t$&\n[1 line more; go on with offset 3]",
      );
      expect(errorOf(await inside("sandbox_edit", { path: "a.txt", old_string: "three", new_string: "" }))?.code).toBe(
        "file_failed",
      );
    }),
  );

  test(
    "distinguish a missing, an empty and a binary file, and an offset past the end",
    inWorld(async (world) => {
      const { inside, jobID } = await openJob(world);
      await inside("sandbox_write", { path: "empty", content: "" });
      await world.runtime.lifecycle.live(jobID)?.writeFile("binary", new Uint8Array([0xff, 0xfe, 0]));
      expect(errorOf(await inside("sandbox_read", { path: "none" }))?.code).toBe("file_not_found");
      expect((await inside("sandbox_read", { path: "empty" })).output).toBe("(empty file)");
      expect((await inside("sandbox_read", { path: "binary" })).output).toContain("binary file of 3 bytes");
      await inside("sandbox_write", { path: "one", content: "1" });
      expect((await inside("sandbox_read", { path: "one", offset: 9 })).output).toBe("(the file has 1 line)");
    }),
  );
});

describe("a job's commands", () => {
  const withCommand = async (world: World, args: Record<string, unknown>) => {
    const job = await openJob(world);
    const process = createFakeProcess("7", "/log/7");
    world.machine.onStart = () => process;
    const abort = new AbortController();
    const answer = job.call("sandbox_exec", args, job.sessionID, abort.signal);
    await world.clock.advance(0);
    return { ...job, process, answer, abort };
  };
  const end = (process: FakeProcess, world: World) => {
    process.end({ kind: "signalled", signal: "SIGKILL" });
    return world.clock.advance(0);
  };

  test(
    "answer with output and exit code; a non-zero code is a value, not an error",
    inWorld(async (world) => {
      const { process, answer, shown, openProgress } = await withCommand(world, { command: "make" });
      process.print("building\n");
      await world.clock.advance(0);
      expect(shown.at(-1)).toMatchObject({ title: "make", text: "```\nbuilding\n```" });
      process.end({ kind: "exited", code: 2 });
      const { output, metadata } = await answer;
      expect(output).toBe("building\n[exit code 2]");
      expect(metadata).toEqual({ exitCode: 2, timedOut: false, cut: false, log: "/log/7", bytes: 9 });
      expect(openProgress()).toBe(0);
    }),
  );

  for (const why of ["their time limit passes", "their turn is stopped"]) {
    test(
      `get SIGTERM, then SIGKILL, when ${why}; the sandbox stays`,
      inWorld(async (world) => {
        const { process, answer, abort, jobID } = await withCommand(world, { command: "loop", timeout_seconds: 5 });
        if (why === "their turn is stopped") abort.abort();
        else await world.clock.advance(5_000);
        expect(process.signals).toEqual(["SIGTERM"]);
        await world.clock.advance(2_000);
        expect(process.signals).toEqual(["SIGTERM", "SIGKILL"]);
        await end(process, world);
        const { output, metadata } = await answer;
        expect(output).toContain(abort.signal.aborted ? "interrupted" : "stopped after 5 s");
        expect(output).toContain("; it was killed 2 s after SIGTERM, as it had not ended");
        expect([metadata.exitCode, metadata.timedOut]).toEqual([null, !abort.signal.aborted]);
        expect(world.runtime.lifecycle.live(jobID)).not.toBeNull();
      }),
    );
  }

  test(
    "give what they leave of their group the rest of the time until SIGKILL",
    inWorld(async (world) => {
      const { process, answer } = await withCommand(world, { command: "obeys", timeout_seconds: 5 });
      await world.clock.advance(5_500);
      expect(process.groupEnds).toEqual([]);
      process.end({ kind: "signalled", signal: "SIGTERM" });
      expect((await answer).output).not.toContain("killed");
      expect([process.signals, process.groupEnds]).toEqual([["SIGTERM"], [1_500]]);
    }),
  );

  test(
    "say when they were killed for lack of memory, with the limit and its option",
    inWorld(async (world) => {
      world.machine.memoryKills = 2;
      const { process, answer } = await withCommand(world, { command: "hungry" });
      world.machine.memoryKills = 3;
      process.end({ kind: "exited", code: 137 });
      expect((await answer).output).toBe(
        '[exit code 137]\n[A process was killed because the sandbox ran out of memory: it has 512 MiB, set by "memoryMiB" of the environment "default"]',
      );
    }),
  );

  for (const [code, says] of [
    [1, true],
    [0, false],
  ] as const)
    test(
      `${says ? "say when they failed and" : "that did not fail do not say when"} processes were refused them`,
      inWorld(async (world) => {
        world.machine.processRefusals = 5;
        const { process, answer } = await withCommand(world, { command: "make -j" });
        world.machine.processRefusals = 7;
        process.end({ kind: "exited", code });
        const line =
          "\n[The sandbox could not start more processes or threads, 2 times: all its commands together may have 4096 at once. Start fewer workers, or fewer threads in each (OMP_NUM_THREADS)]";
        expect((await answer).output).toBe(`[exit code ${code}]${says ? line : ""}`);
      }),
    );

  for (const [name, kills, status, says] of [
    ["what may have killed them, where the kernel does not tell", null, { kind: "signalled", signal: "SIGKILL" }, true],
    ["what may have killed them, where a shell reports it by its exit code", null, { kind: "exited", code: 137 }, true],
    ["nothing where the kernel has killed nothing", 0, { kind: "signalled", signal: "SIGKILL" }, false],
    ["nothing of any other end", null, { kind: "exited", code: 1 }, false],
  ] as const)
    test(
      `say ${name}`,
      inWorld(async (world) => {
        world.machine.memoryKills = kills;
        const { process, answer } = await withCommand(world, { command: "hungry" });
        process.end(status);
        const { output } = await answer;
        expect([output.includes("too little memory: it has 512 MiB"), output.includes("memoryMiB")]).toEqual([
          says,
          says,
        ]);
      }),
    );

  test(
    "run in the background, where they can be read, sent input and waited for",
    inWorld(async (world) => {
      const { process, answer, inside } = await withCommand(world, { command: "serve", background: true });
      expect((await answer).metadata).toEqual({ process: "7", log: "/log/7" });
      process.print("listening\n");
      await world.clock.advance(0);
      const look = (await inside("sandbox_process", { process: 7 })) as { output: string; metadata: object };
      expect(look.output).toBe("listening\n[running]");
      const waiting = inside("sandbox_process", { process: "7", input: "quit\n", wait_seconds: 60 });
      await world.clock.advance(1_000);
      process.end({ kind: "exited", code: 0 });
      expect((await waiting).output).toBe("(no new output)\n[exit code 0]");
      expect(process.inputs).toEqual(["quit\n"]);
      const unknown = errorOf(await inside("sandbox_process", { process: "8" }));
      expect(unknown).toMatchObject({ code: "not_found", message: expect.stringContaining("7 (serve)") });
    }),
  );

  test(
    "have no time limit in the background, and say so where one was given",
    inWorld(async (world) => {
      const { process, answer } = await withCommand(world, {
        command: "serve",
        background: "yes",
        timeout_seconds: "1",
      });
      expect((await answer).output).toContain("timeout_seconds (1) does not apply to it");
      await world.clock.advance(5_000);
      expect(process.signals).toEqual([]);
    }),
  );

  test(
    "of an earlier sandbox or OpenCode are named with how they ended and where their output was logged",
    inWorld(async (world) => {
      const { answer, inside, jobID } = await withCommand(world, { command: "serve --port 1", background: true });
      await answer;
      const { call } = openTools(world); // as after a restart: nothing is followed
      const { childSession } = world.job(jobID);
      const look = () => call("sandbox_process", { process: "7" }, childSession ?? "");
      expect((await look()).output).toContain("It had one (serve --port 1): OpenCode has been restarted since");
      const sessionJobs = world.runtime.worker(childSession ?? "")?.sessionJobs;
      const moved = (job: Job): Job => ({
        ...job,
        processes: job.processes.map((one) => ({ ...one, sandboxID: "sbx_0" })),
      });
      sessionJobs?.update(jobID, moved);
      const { output } = await look();
      expect(output).toContain("it ended with the sandbox it ran in, which was parked after the job's turn or lost.");
      expect(output).toContain("Its output until then was logged in /log/7.");
      expect((await inside("sandbox_process", { process: "6" })).output).not.toContain("It had one");
    }),
  );

  test(
    "refuse a GPU for a single command",
    inWorld(async (world) => {
      const { inside } = await openJob(world);
      expect(errorOf(await inside("sandbox_exec", { command: "train", gpu: "H100" }))?.code).toBe("invalid_task");
    }),
  );
});

test(
  "sandbox tools answer not_found outside a job and in an ended job",
  inWorld(async (world) => {
    const { call, inside, jobID } = await openJob(world);
    const args: Record<string, object> = {
      sandbox_exec: { command: "ls" },
      sandbox_process: { process: "1" },
      sandbox_read: { path: "a" },
      sandbox_write: { path: "a", content: "" },
      sandbox_edit: { path: "a", old_string: "a", new_string: "b" },
      job_report: { status: "hi" },
    };
    for (const [name, its] of Object.entries(args))
      expect(errorOf(await call(name, its, ORCHESTRATOR))?.code).toBe("not_found");
    const cancelling = call("agents_cancel", { jobs: [jobID] });
    await world.clock.advance(10_000);
    await cancelling;
    for (const [name, its] of Object.entries(args)) expect(errorOf(await inside(name, its))?.code).toBe("not_found");
  }),
);

test(
  "a job reports status and metrics, and can snapshot itself but no other job",
  inWorld(async (world) => {
    const { call, inside, jobID } = await openJob(world);
    const [other = ""] = await world.start("hang");
    await world.reaches(other, "running");
    await inside("job_report", { status: "training", metrics: { loss: 2.5, acc: 0.1 }, step: 10 });
    await inside("job_report", { metrics: { loss: 2.25 }, step: 20 });
    await inside("job_report", { message: "evaluating", description: "a remark" });
    const at = new Date(world.clock.now()).toISOString();
    expect(world.job(jobID)).toMatchObject({
      status: "evaluating",
      metrics: { loss: { value: 2.25, step: 20, at }, acc: { value: 0.1, step: 10, at } },
    });
    expect((await inside("sandbox_snapshot", { label: "best" })).metadata).toMatchObject({ job: jobID, label: "best" });
    const taken = await call("sandbox_snapshot", { job: other, label: "best" });
    expect(taken.metadata.label).toBeUndefined();
    expect(taken.output).toContain(
      `is taken, without the label "best": that is ${jobID}'s, which gave it first and keeps it.`,
    );
    expect(taken.output).toEndWith(`New tasks start from it with from: "${taken.metadata.id}".`);
    expect(errorOf(await inside("sandbox_snapshot", { job: other }))?.code).toBe("not_found");
    expect(errorOf(await call("sandbox_snapshot", {}))?.code).toBe("not_found");
  }),
);
