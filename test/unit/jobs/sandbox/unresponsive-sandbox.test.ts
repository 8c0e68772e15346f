import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { collectFiles } from "../../../../src/jobs/actions/collect-files.ts";
import { forgetSession } from "../../../../src/jobs/actions/forget-session.ts";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import type { SandboxCall } from "../../../support/memory-machine.ts";
import { pause } from "../../../support/wait.ts";
import { createFakeProcess } from "../../tools/fake-process.ts";
import { bytes, gate, inWorld, leaseCount, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

/** Calls that a sandbox no longer answers, whichever process makes them. */
const UNANSWERED: readonly (readonly SandboxCall[])[] = [
  ["start", "read", "write"],
  ["snapshot"],
  ["terminate"],
  ["snapshot", "terminate"],
  ["attach", "start", "read", "write", "snapshot", "terminate"],
];
const MIN = 60_000;
const HOUR = 60 * MIN;

interface UnresponsiveJob {
  readonly id: string;
  /** The job that is queued behind it. */
  readonly next: string;
  /** Has the sandbox answer all calls from now on. */
  answer(): void;
}

/** Starts a job whose sandbox stops answering these calls once the job runs, and one job behind it. */
async function startUnresponsive(
  world: World,
  calls: readonly SandboxCall[],
  prompt = "hang",
  timeoutMinutes = 600,
): Promise<UnresponsiveJob> {
  const tasks = [{ description: "d", prompt, timeout_minutes: timeoutMinutes }, "say next"] as const;
  const [id = "", next = ""] = await world.start(...tasks);
  await world.reaches(id, "running");
  await world.runtime.lifecycle.live(id)?.writeFile("work", bytes("so far"));
  const [first] = world.machine.sandboxes();
  const answered = gate();
  world.machine.onCall = (call, id) => (id === first?.id && calls.includes(call) ? answered.passed : undefined);
  return { id, next, answer: answered.open };
}

/** Expects a note on the job if its sandbox cannot be parked. */
function expectParkingNote(world: World, id: string, calls: readonly SandboxCall[]): void {
  const isKept = calls.includes("snapshot") || calls.includes("terminate");
  expect(world.job(id).notes).toEqual(isKept ? [expect.stringMatching(/^Not done yet: its sandbox .+: .+/)] : []);
}

/** Advances the clock until the work is settled. Gives the real disk 5 ms of real time each minute. */
async function untilSettled({ clock }: World, work: Promise<unknown>, limitMinutes = 120): Promise<void> {
  let isSettled = false;
  const settled = work.then(
    () => (isSettled = true),
    () => (isSettled = true),
  );
  for (let minute = 0; !isSettled; minute += 1) {
    if (minute > limitMinutes) throw new Error(`not settled after ${limitMinutes} minutes`);
    await clock.advance(MIN);
    await Promise.race([settled, pause(5)]);
  }
}

describe("a sandbox that does not answer", () => {
  const options = { maxRunningJobs: 1, parkAfterSeconds: 1, stallTimeoutMinutes: 1e4, checkpointMinutes: null };
  for (const calls of UNANSWERED) {
    const what = `to ${calls.join(", ")}`;

    test(
      `${what}: its job can be cancelled, and the next job runs`,
      inWorld(async (world) => {
        const { id, next, answer } = await startUnresponsive(world, calls);
        const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
        expect((await world.reaches(next, "completed")).state).toMatchObject({ result: "next" });
        await untilSettled(world, cancelled, 2);
        expect(world.job(id).state.kind).toBe("cancelled");
        expectParkingNote(world, id, calls);
        await world.clock.advance(2 * MIN);
        expect(leaseCount(world.runtime)).toBe(0);
        answer();
      }, options),
    );

    test(
      `${what}: its job fails at its time limit, and the next job runs`,
      inWorld(async (world) => {
        const { id, next, answer } = await startUnresponsive(world, calls, "hang", 10);
        await world.clock.advance(17 * MIN);
        expect(world.job(id).state).toMatchObject({ kind: "failed", failure: { code: "timed_out" } });
        expectParkingNote(world, id, calls);
        await world.reaches(next, "completed");
        await world.clock.advance(2 * MIN);
        expect(leaseCount(world.runtime)).toBe(0);
        answer();
      }, options),
    );

    test(
      `${what}: it is terminated by the next process after its job and its process have ended`,
      inWorld(async (world) => {
        const { id, next, answer } = await startUnresponsive(world, calls, "work 5000 done");
        await world.reaches(id, "completed");
        await world.reaches(next, "completed");
        expect(leaseCount(world.runtime)).toBe(0);
        await world.reopen();
        await untilSettled(world, world.runtime.collectGarbage());
        answer();
        await world.clock.until("the sandbox is terminated", () => world.machine.sandboxes().length === 0, HOUR);
        await world.clock.advance(HOUR);
        expect(world.job(id).notes).toEqual([]);
      }, options),
    );

    test(
      `${what}: its session can be deleted`,
      inWorld(async (world) => {
        const { answer } = await startUnresponsive(world, calls);
        await untilSettled(world, forgetSession(world.runtime, ORCHESTRATOR));
        expect(leaseCount(world.runtime)).toBe(0);
        answer();
        await world.runtime.collectGarbage();
        expect(world.machine.sandboxes()).toEqual([]);
      }, options),
    );

    test(
      `${what}: asking for a snapshot or for files returns, and the job goes on`,
      inWorld(async (world) => {
        const { id, answer } = await startUnresponsive(world, calls);
        await untilSettled(world, snapshotJob(world.runtime, ORCHESTRATOR, { job: id, label: null, path: null }));
        const root = mkdtempSync(join(tmpdir(), "files-"));
        const { signal } = new AbortController();
        const request = { root, target: "files", paths: ["work"], isConfigured: () => false, signal };
        await untilSettled(world, collectFiles(world.runtime, ORCHESTRATOR, id, request));
        rmSync(root, { recursive: true, force: true });
        expect(world.job(id).state.kind).toBe("running");
        answer();
      }, options),
    );
  }

  test(
    "to commands: its files are read from a snapshot that is taken for that",
    inWorld(async (world) => {
      const { id, answer } = await startUnresponsive(world, ["start", "read"]);
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      const read = world.runtime.jobFiles.read(sessionJobs, id, {
        use: async (files, source) => [
          source.kind,
          text(await files.readFile("work", { offset: 0, maxBytes: 99 })),
          (await files.start({ argv: ["true"] })).id,
        ],
      });
      world.machine.onStart = () => createFakeProcess("7");
      await untilSettled(world, read);
      expect(await read).toEqual(["snapshot", "so far", "7"]);
      expect(world.machine.sandboxes().map((each) => each.spec.name)).toEqual([id]);
      expect(world.job(id).state.kind).toBe("running");
      answer();
    }),
  );

  test(
    "to a start within its time: the process that then starts is killed",
    inWorld(async (world) => {
      const { id, answer } = await startUnresponsive(world, ["start"]);
      const late = createFakeProcess("7");
      world.machine.onStart = () => late;
      await untilSettled(world, world.runtime.lifecycle.live(id)?.start({ argv: ["sleep", "9"] }) ?? Promise.resolve());
      answer();
      await world.clock.until("the process is killed", () => late.signals.includes("SIGKILL"));
    }),
  );

  test(
    "to a kill: the output of the command ends, and its exit is unknown",
    inWorld(async (world) => {
      const { id } = await startUnresponsive(world, []);
      world.machine.onStart = () => createFakeProcess("7");
      const command = await world.runtime.lifecycle.live(id)?.start({ argv: ["sleep", "9"] });
      const reading = (async () => {
        for await (const _ of command?.output ?? []);
      })();
      await command?.signal("SIGKILL");
      await world.clock.until("its output ends", () => Bun.peek.status(reading) === "fulfilled");
      expect(await command?.exit).toMatchObject({ kind: "unknown", reason: expect.stringContaining("killed") });
    }),
  );

  test(
    "to input: writing it fails",
    inWorld(async (world) => {
      const { id } = await startUnresponsive(world, []);
      world.machine.onStart = () => ({ ...createFakeProcess("7"), write: () => new Promise(() => {}) });
      const command = await world.runtime.lifecycle.live(id)?.start({ argv: ["sleep", "9"] });
      const failure = command?.write(bytes("much")).catch((error: Error) => error.message) ?? Promise.resolve();
      await untilSettled(world, failure, 3);
      expect(await failure).toContain("to read its input took longer than 60 s");
    }),
  );
});
