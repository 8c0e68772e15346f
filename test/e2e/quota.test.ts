import { afterAll, beforeAll, expect } from "bun:test";
import { holdersAt, type ModalSetup, noneLeft, openGatesAt, startModalSetup } from "../support/modal-setup.ts";
import { type OpencodeServer, openProject, startServe } from "../support/opencode.ts";
import { HOLD, sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { ask, shell, start, status, task, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

/** Two processes of one user; each test has a project that is open in both. */
let host: ModalSetup;
let second: OpencodeServer;

beforeAll(async () => {
  host = await startModalSetup();
  second = await startServe(host.home);
});

afterAll(async () => {
  await second?.stop();
  await host?.stop();
});

const four = (name: string) => ({
  ...task(name, shell(HOLD, { timeout_seconds: 900 }), say(`${name} ran`)),
  gpu: "H100:4",
});

const atWork = (modal: ModalSetup["modal"], count: number) =>
  until(async () => (await holdersAt(modal)).length === count, {
    what: `${count} jobs are at work`,
  });

/** The most GPUs that stood at once, by the order of calls, when each sandbox has four. */
async function mostHeld(modal: ModalSetup["modal"]): Promise<number> {
  const changes: Record<string, number> = { SandboxCreate: 4, SandboxCreateV2: 4, SandboxTerminate: -4 };
  let held = 0;
  return Math.max(...(await modal.calls()).map(({ method }) => (held += changes[method] ?? 0)));
}

sandboxTest(
  "four jobs of H100:4 in two OpenCode processes never hold more than the eight allowed, and all complete",
  async () => {
    const { modal } = host;
    const own = await startSetupIn(host, { gpuLimits: { total: 10, H100: 8 } });
    const { server } = own;
    const other = await openProject(second, own.home);
    try {
      const [mine, theirs] = [await server.createSession(), await other.createSession()];
      await ask(server, mine.id, start(four("a"), four("b")));
      await atWork(modal, 2);
      await ask(other, theirs.id, start(four("c"), four("d")));
      const { metadata, output } = await ask(other, theirs.id, status());
      expect(metadata.jobs.map(({ state, reason, queuePosition }) => ({ state, reason, queuePosition }))).toEqual([
        { state: "queued", queuePosition: 1, reason: "waiting for 4 H100 (8 of 8 in use)" },
        { state: "queued", queuePosition: 2, reason: "waiting for 4 H100 (8 of 8 in use, behind 1 queued job)" },
      ]);
      expect(metadata.pool.gpus).toEqual({ total: { used: 8, limit: 10 }, H100: { used: 8, limit: 8 } });
      expect(output).toContain("GPUs: 8 of 10 in use, H100 8 of 8.");
      await openGatesAt(modal);
      await until(async () => (await modal.sandboxes()).length === 4, {
        what: "the others start",
      });
      await atWork(modal, 2);
      await openGatesAt(modal);
      const ends = async (of: OpencodeServer, session: string) =>
        (await ask(of, session, wait())).metadata.finished.map(({ state, gpu }) => [state, gpu as string]);
      const both = [["completed", "H100:4"], ["completed", "H100:4"]]; // biome-ignore format: one line
      expect([await ends(server, mine.id), await ends(other, theirs.id)]).toEqual([both, both]);
      await noneLeft(modal);
      expect(await mostHeld(modal)).toBe(8);
    } finally {
      await other.stop();
      await own.stop();
    }
  },
);

sandboxTest(
  "a process that is killed frees its share of the GPUs, and a task beyond every limit is refused",
  async () => {
    const { modal } = host;
    const own = await startSetupIn(host, { gpuLimits: { total: 8, T4: 2 } });
    const { server } = own;
    const other = await openProject(second, own.home);
    const [mine, theirs] = [await server.createSession(), await other.createSession()];
    await ask(other, theirs.id, start(four("a"), four("b")));
    await atWork(modal, 2);
    const { jobs } = (await ask(server, mine.id, start(four("c"), { ...four("never"), gpu: "T4:4" }))).metadata;
    expect(jobs).toMatchObject([
      { state: "queued", reason: "waiting for 4 H100 (8 of 8 GPUs in use)" },
      { state: "failed", error: { code: "invalid_task", message: expect.stringContaining("gpuLimits") } },
    ]);
    await second.kill();
    await other.events.close();
    await atWork(modal, 3);
    await openGatesAt(modal);
    expect((await ask(server, mine.id, wait())).metadata.finished[0]).toMatchObject({ state: "completed" });
    await own.stop();
  },
);
