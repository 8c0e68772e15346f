import { expect } from "bun:test";
import { creations, holdersAt, type ModalLab, noneLeft, openGatesAt, withModalLab } from "../support/modal-lab.ts";
import { restart, startServe } from "../support/opencode.ts";
import { HOLD, sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

const ENDS = {
  SIGTERM: async (lab: ModalLab) => {
    lab.server = await restart(lab.server, lab.home);
  },
  SIGKILL: async (lab: ModalLab) => {
    await lab.server.kill();
    lab.server = await startServe(lab.home);
  },
};

for (const [how, endAndStartAgain] of Object.entries(ENDS)) {
  sandboxTest(
    `after ${how} follow-ups find the live sandboxes of finished and of interrupted jobs, and their processes`,
    () =>
      withModalLab({ parkAfterSeconds: 3600, environments: { default: { ports: [8080] } } }, {}, async (lab) => {
        const { modal } = lab;
        const session = await lab.server.createSession();
        // On both backends of Modal: one has the GPUs, the other one the rest.
        const leaves = shell("echo kept > file; nohup sleep 3000 >/dev/null 2>&1 & echo $! > pid");
        const tasks = [
          task("ends", leaves, say("left")),
          { ...task("ends with GPU", leaves, say("left")), gpu: "T4" },
          task("is interrupted", leaves, shell(HOLD, { timeout_seconds: 900 }), say("never said")),
        ];
        const [started] = await turn(lab.server, session.id, start(...tasks), wait({ until: 2 }));
        const ids = started?.metadata.jobs.map(({ id }) => id) ?? [];
        await until(async () => (await holdersAt(modal)).length === 1, {
          what: "the third is at work",
          timeoutMs: 60_000,
        });
        const before = (await ask(lab.server, session.id, status())).metadata.jobs;
        expect(before.map(({ state, sandbox }) => [state, sandbox])).toEqual([
          ["completed", "live"],
          ["completed", "live"],
          ["running", "live"],
        ]);

        expect(before[0]?.ports).toEqual([{ port: 8080, url: expect.stringMatching(/^https:/) as never }]);

        await endAndStartAgain(lab);
        const { server } = lab;
        const after = (await ask(server, session.id, status())).metadata.jobs;
        expect(after.map(({ state, sandboxID }) => [state, sandboxID as string])).toEqual([
          ["completed", before[0]?.sandboxID as string],
          ["completed", before[1]?.sandboxID as string],
          [expect.stringMatching(/queued|starting|running/) as unknown as never, before[2]?.sandboxID as string],
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
        expect(await creations(modal)).toHaveLength(3);
        expect(await modal.sandboxes({ live: true })).toHaveLength(3);
        await openGatesAt(modal);
      }),
    240_000,
  );
}

sandboxTest(
  "a job whose sandbox ended while nobody looked is revived from its newest snapshot, or says that its files are lost",
  () =>
    withModalLab({ parkAfterSeconds: 3600 }, {}, async (lab) => {
      const { modal } = lab;
      const session = await lab.server.createSession();
      const snapshot = { toolCalls: [{ name: "sandbox_snapshot", arguments: { label: "kept" } }] };
      const tasks = [
        task("has one", shell("echo 1 > n"), snapshot, say("ok")),
        task("has none", shell("echo 2 > n"), say("ok")),
      ];
      const [, done] = await turn(lab.server, session.id, start(...tasks), wait());
      const [one, other] = done?.metadata.finished ?? [];
      await lab.server.kill();
      for (const { id } of await modal.sandboxes({ live: true })) await modal.kill(id);
      lab.server = await startServe(lab.home);
      const { server } = lab;
      const reads = script(shell("cat n"), say("read"));
      const answers = await turn(
        server,
        session.id,
        message(one?.id as string, reads),
        message(other?.id as string, reads),
        wait(),
      );
      const finished = answers.at(-1)?.metadata.finished ?? [];
      expect(finished).toMatchObject([
        { state: "completed", result: "read" },
        { state: "failed", error: { code: "restart_unrecoverable" } },
      ]);
      expect((await outputsOf(server, finished[0], "sandbox_exec")).at(-1)).toBe("1\n[exit code 0]");
      expect(await modal.sandboxes({ live: true })).toHaveLength(1);
      await server.client.session.delete({ sessionID: session.id });
      await noneLeft(modal); // deleting the session ends what it had
    }),
  240_000,
);
