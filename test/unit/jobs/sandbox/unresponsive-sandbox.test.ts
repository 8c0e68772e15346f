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

/** What a sandbox does not answer any more, whoever asks for it. */
const SILENCES: readonly (readonly SandboxCall[])[] = [
  ["start", "read", "write"],
  ["snapshot"],
  ["terminate"],
  ["snapshot", "terminate"],
  ["attach", "start", "read", "write", "snapshot", "terminate"],
];
const MIN = 60_000;
const HOUR = 60 * MIN;

interface Beset {
  readonly id: string;
  /** The job that waits for its place. */
  readonly next: string;
  /** Has it answer at last. */
  speak(): void;
}

/** One running job whose sandbox falls silent, and one behind it. */
async function beset(world: World, silent: readonly SandboxCall[], prompt = "hang", minutes = 600): Promise<Beset> {
  const tasks = [{ description: "d", prompt, timeout_minutes: minutes }, "say next"] as const;
  const [id = "", next = ""] = await world.start(...tasks);
  await world.reaches(id, "running");
  await world.runtime.lifecycle.live(id)?.writeFile("work", bytes("so far"));
  const [first] = world.machine.sandboxes();
  const silence = gate();
  world.machine.onCall = (what, id) => (id === first?.id && silent.includes(what) ? silence.passed : undefined);
  return { id, next, speak: silence.open };
}

/** Whether what is kept of its sandbox is told. */
function expectTold(world: World, id: string, silent: readonly SandboxCall[]): void {
  const isKept = silent.includes("snapshot") || silent.includes("terminate");
  expect(world.job(id).notes).toEqual(isKept ? [expect.stringMatching(/^Not done yet: its sandbox .+: .+/)] : []);
}

/** Until it is over, well or not. The disk, which has its own time, is waited for a moment each minute. */
async function ends({ clock }: World, work: Promise<unknown>, minutes = 120): Promise<void> {
  let over = false;
  const done = work.then(
    () => (over = true),
    () => (over = true),
  );
  for (let minute = 0; !over; minute += 1) {
    if (minute > minutes) throw new Error(`not over after ${minutes} minutes`);
    await clock.advance(MIN);
    await Promise.race([done, pause(5)]);
  }
}

describe("a sandbox that gives no answer", () => {
  const one = { maxRunningJobs: 1, parkAfterSeconds: 1, stallTimeoutMinutes: 1e4, checkpointMinutes: null };
  for (const silent of SILENCES) {
    const what = `to ${silent.join(", ")}`;

    test(
      `${what}: its job is cancelled, its slot is free, the next job runs`,
      inWorld(async (world) => {
        const { id, next, speak } = await beset(world, silent);
        const cancelled = cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
        expect((await world.reaches(next, "completed")).state).toMatchObject({ result: "next" });
        await ends(world, cancelled, 2);
        expect(world.job(id).state.kind).toBe("cancelled");
        expectTold(world, id, silent);
        await world.clock.advance(2 * MIN);
        expect(leaseCount(world.runtime)).toBe(0);
        speak();
      }, one),
    );

    test(
      `${what}: its job's time limit ends it, and the next job runs`,
      inWorld(async (world) => {
        const { id, next, speak } = await beset(world, silent, "hang", 10);
        await world.clock.advance(17 * MIN);
        expect(world.job(id).state).toMatchObject({ kind: "failed", failure: { code: "timed_out" } });
        expectTold(world, id, silent);
        await world.reaches(next, "completed");
        await world.clock.advance(2 * MIN);
        expect(leaseCount(world.runtime)).toBe(0);
        speak();
      }, one),
    );

    test(
      `${what}: its job ends, the process ends, and the next process ends it`,
      inWorld(async (world) => {
        const { id, next, speak } = await beset(world, silent, "work 5000 done");
        await world.reaches(id, "completed");
        await world.reaches(next, "completed");
        expect(leaseCount(world.runtime)).toBe(0);
        await world.reopen();
        await ends(world, world.runtime.collectGarbage());
        speak();
        await world.clock.until("it is ended", () => world.machine.sandboxes().length === 0, HOUR);
        await world.clock.advance(HOUR);
        expect(world.job(id).notes).toEqual([]);
      }, one),
    );

    test(
      `${what}: its session can be deleted`,
      inWorld(async (world) => {
        const { speak } = await beset(world, silent);
        await ends(world, forgetSession(world.runtime, ORCHESTRATOR));
        expect(leaseCount(world.runtime)).toBe(0);
        speak();
        await world.runtime.collectGarbage();
        expect(world.machine.sandboxes()).toEqual([]);
      }, one),
    );

    test(
      `${what}: whoever wants a snapshot or its files hears of it`,
      inWorld(async (world) => {
        const { id, speak } = await beset(world, silent);
        await ends(world, snapshotJob(world.runtime, ORCHESTRATOR, { job: id, label: null, path: null }));
        const root = mkdtempSync(join(tmpdir(), "files-"));
        const { signal } = new AbortController();
        const request = { root, target: "files", paths: ["work"], isConfigured: () => false, signal };
        await ends(world, collectFiles(world.runtime, ORCHESTRATOR, id, request));
        rmSync(root, { recursive: true, force: true });
        expect(world.job(id).state.kind).toBe("running");
        speak();
      }, one),
    );
  }

  test(
    "to commands: its files are read from a snapshot taken for it, newer than all that was kept before",
    inWorld(async (world) => {
      const { id, speak } = await beset(world, ["start", "read"]);
      const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
      const read = world.runtime.jobFiles.read(sessionJobs, id, {
        use: async (files, source) => [
          source.kind,
          text(await files.readFile("work", { offset: 0, maxBytes: 99 })),
          (await files.start({ argv: ["true"] })).id,
        ],
      });
      world.machine.onStart = () => createFakeProcess("7");
      await ends(world, read);
      expect(await read).toEqual(["snapshot", "so far", "7"]);
      expect(world.machine.sandboxes().map((each) => each.spec.name)).toEqual([id]);
      expect(world.job(id).state.kind).toBe("running");
      speak();
    }),
  );

  test(
    "to a start until nobody waits for it any more: what then starts is killed",
    inWorld(async (world) => {
      const { id, speak } = await beset(world, ["start"]);
      const late = createFakeProcess("7");
      world.machine.onStart = () => late;
      await ends(world, world.runtime.lifecycle.live(id)?.start({ argv: ["sleep", "9"] }) ?? Promise.resolve());
      speak();
      await world.clock.until("it is killed", () => late.signals.includes("SIGKILL"));
    }),
  );

  test(
    "to a kill: the command is given up a while later, its output ends",
    inWorld(async (world) => {
      const { id } = await beset(world, []);
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
    "to what it is given to read: whoever gives it is told",
    inWorld(async (world) => {
      const { id } = await beset(world, []);
      world.machine.onStart = () => ({ ...createFakeProcess("7"), write: () => new Promise(() => {}) });
      const command = await world.runtime.lifecycle.live(id)?.start({ argv: ["sleep", "9"] });
      const failure = command?.write(bytes("much")).catch((error: Error) => error.message) ?? Promise.resolve();
      await ends(world, failure, 3);
      expect(await failure).toContain("to read its input took longer than 60 s");
    }),
  );
});
