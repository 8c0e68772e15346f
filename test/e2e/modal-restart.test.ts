import { afterAll, beforeAll, expect } from "bun:test";
import {
  creations,
  holdersAt,
  type ModalSetup,
  noneLeft,
  openGatesAt,
  startModalSetup,
} from "../support/modal-setup.ts";
import { restart } from "../support/opencode.ts";
import { HOLD, sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

/** One home and one Modal for all: each test leaves no sandbox behind. */
let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ parkAfterSeconds: 3600, environments: { default: { ports: [8080] } } });
});

afterAll(async () => {
  await setup?.stop();
});

/** To delete the session of jobs ends what they had. */
async function forget(sessionID: string): Promise<void> {
  await setup.server.client.session.delete({ sessionID });
  await noneLeft(setup.modal);
}

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  sandboxTest(
    `after ${signal} follow-ups find the live sandboxes of finished and of interrupted jobs, and their processes`,
    async () => {
      const { modal } = setup;
      const created = (await creations(modal)).length;
      const session = await setup.server.createSession();
      // On both backends of Modal: one has the GPUs, the other one the rest.
      const leaves = shell("echo kept > file; nohup sleep 3000 >/dev/null 2>&1 & echo $! > pid");
      const tasks = [
        task("ends", leaves, say("left")),
        { ...task("ends with GPU", leaves, say("left")), gpu: "T4" },
        task("is interrupted", leaves, shell(HOLD, { timeout_seconds: 900 }), say("never said")),
      ];
      const [started] = await turn(setup.server, session.id, start(...tasks), wait({ until: 2 }));
      const ids = started?.metadata.jobs.map(({ id }) => id) ?? [];
      await until(async () => (await holdersAt(modal)).length === 1, {
        what: "the third is at work",
      });
      const before = (await ask(setup.server, session.id, status())).metadata.jobs;
      expect(before.map(({ state, sandbox }) => [state, sandbox])).toEqual([
        ["completed", "live"],
        ["completed", "live"],
        ["running", "live"],
      ]);

      expect(before[0]?.ports).toEqual([{ port: 8080, url: expect.stringMatching(/^https:/) as never }]);

      setup.server = await restart(setup.server, setup.home, signal);
      const { server } = setup;
      const after = (await ask(server, session.id, status())).metadata.jobs;
      expect(after.map(({ state, sandboxID }) => [state, sandboxID as string])).toEqual([
        ["completed", before[0]?.sandboxID as string],
        ["completed", before[1]?.sandboxID as string],
        // It goes on by itself, and may have ended by now.
        [
          expect.stringMatching(/queued|starting|running|completed/) as unknown as never,
          before[2]?.sandboxID as string,
        ],
      ]);
      const reads = script(shell("cat file; kill -0 $(cat pid) && echo alive; pwd"), say("read"));
      const answers = await turn(server, session.id, ...ids.map((id) => message(id, reads)), wait());
      const finished = answers.at(-1)?.metadata.finished ?? [];
      expect(finished.map(({ state, result }) => [state, result as string])).toEqual(
        ids.map(() => ["completed", "read"]),
      );
      for (const job of finished) {
        const [last] = (await server.toolParts(job.sessionID as string, "sandbox_exec")).slice(-1);
        expect(last?.state).toMatchObject({ output: "kept\nalive\n/workspace\n[exit code 0]" });
      }
      expect(finished.map(({ ports }) => ports)).toEqual(before.map(({ ports }) => ports));
      expect(finished.map(({ gpu }) => gpu as string)).toEqual([undefined as never, "T4", undefined as never]);
      expect((await creations(modal)).length - created).toBe(3);
      expect(await modal.sandboxes({ live: true })).toHaveLength(3);
      await openGatesAt(modal);
      await forget(session.id);
    },
  );
}

sandboxTest(
  "a job whose sandbox ended while nobody looked is revived with its files of that moment or from its newest snapshot, or says that they are lost",
  async () => {
    const { modal } = setup;
    const session = await setup.server.createSession();
    const snapshot = { toolCalls: [{ name: "sandbox_snapshot", arguments: { label: "kept" } }] };
    const tasks = [
      task("has one", shell("echo 1 > n"), snapshot, say("ok")),
      { ...task("has a GPU and none", shell("echo 2 > n"), say("ok")), gpu: "T4" },
      task("has none", shell("echo 3 > n"), say("ok")),
    ];
    const [, done] = await turn(setup.server, session.id, start(...tasks), wait());
    const [one, other, third] = done?.metadata.finished ?? [];
    setup.server = await restart(setup.server, setup.home, "SIGKILL", async () => {
      for (const { id } of await modal.sandboxes({ live: true })) await modal.kill(id);
    });
    const { server } = setup;
    const reads = script(shell("cat n"), say("read"));
    const answers = await turn(
      server,
      session.id,
      message(one?.id as string, reads),
      message(other?.id as string, reads),
      message(third?.id as string, reads),
      wait(),
    );
    const finished = answers.at(-1)?.metadata.finished ?? [];
    expect(finished).toMatchObject([
      { state: "completed", result: "read" },
      { state: "completed", result: "read" },
      { state: "failed", error: { code: "restart_unrecoverable" } },
    ]);
    expect((await outputsOf(server, finished[1], "sandbox_exec")).at(-1)).toBe("2\n[exit code 0]");
    expect((await outputsOf(server, finished[0], "sandbox_exec")).at(-1)).toBe("1\n[exit code 0]");
    expect(await modal.sandboxes({ live: true })).toHaveLength(2);
    await forget(session.id);
  },
);
