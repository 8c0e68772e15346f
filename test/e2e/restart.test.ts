import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type LabServer, startLab } from "../support/lab.ts";
import { restart, startServe } from "../support/opencode.ts";
import { commandsWith, sandboxesOf, sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { ask, cancel, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

async function withLab(options: Record<string, unknown>, use: (lab: LabServer) => Promise<void>): Promise<void> {
  const lab = await startLab(options);
  try {
    await use(lab);
  } finally {
    await lab.stop();
  }
}

const ENDS = {
  "after SIGTERM": async (lab: LabServer) => {
    lab.server = await restart(lab.server, lab.home);
  },
  "after SIGKILL": async (lab: LabServer) => {
    await lab.server.kill();
    lab.server = await startServe(lab.home);
  },
};

for (const [when, endAndStartAgain] of Object.entries(ENDS)) {
  sandboxTest(
    `${when} finished jobs answer, forks are made, interrupted jobs wake with their files, queued ones go on`,
    () =>
      withLab({ maxRunningJobs: 2 }, async (lab) => {
        const session = await lab.server.createSession();
        const seconds = uniqueSeconds();
        const finishes = task(
          "finishes",
          shell("echo base > file"),
          call("sandbox_snapshot", { label: "base" }),
          say("a"),
        );
        const sleeps = (name: string) =>
          task(name, shell(`echo ${name} > file; sleep ${seconds}`, { timeout_seconds: 900 }), say("slept"));
        await turn(lab.server, session.id, start(finishes), wait());
        await until(() => sandboxesOf(lab.home).length === 0, { what: "the first is parked" });
        const tasks = [sleeps("one"), sleeps("two"), task("queued", shell("echo ran"), say("went on"))];
        const { metadata } = await ask(lab.server, session.id, start(...tasks));
        const [one, two, queued] = metadata.jobs.map(({ id }) => id) as [string, string, string];
        await until(() => sandboxesOf(lab.home).length === 2, { what: "two have sandboxes", timeoutMs: 30_000 });
        const enough = () => new Set(commandsWith(seconds).filter((text) => text.startsWith("sleep"))).size > 0;
        await until(enough, { what: "they sleep", timeoutMs: 30_000 });
        await until(
          async () => {
            const { jobs } = (await ask(lab.server, session.id, status(one, two))).metadata;
            return jobs.every(({ tool }) => tool === "sandbox_exec");
          },
          { what: "both run their command", timeoutMs: 30_000 },
        );
        await lab.server.promptAsync(session.id, script(wait(), say("never said")));
        await until(() => boards(lab, session.id), { what: "the orchestrator waits and shows its board" });

        await endAndStartAgain(lab);
        await until(() => commandsWith(seconds).length === 0, { what: "no command outlives its server" });
        const { server, model } = lab;
        const { jobs } = (await ask(server, session.id, status())).metadata;
        const [done, first, second, third] = jobs;
        expect(done).toMatchObject({ state: "completed", result: "a", sandbox: "parked" });
        for (const job of [first, second]) {
          expect(job).toMatchObject({
            state: "interrupted",
            reason: expect.stringContaining("agents_message"),
            turns: 1,
          });
        }
        expect(third?.id).toBe(queued);
        expect(JSON.stringify(model.requests.at(-1)?.messages)).not.toContain("● **"); // the board it died with

        const went = await ask(server, session.id, wait({ jobs: [queued] }));
        expect(went.metadata.finished).toMatchObject([{ state: "completed", result: "went on", turns: 1 }]);
        const attention = await ask(server, session.id, wait());
        expect(attention.metadata.reason).toBe("attention");
        expect(attention.metadata.pending.map(({ id }) => id)).toEqual([one, two]);
        expect(attention.output).toContain("wake them with agents_message, or cancel them");

        const read = script(shell("cat file"), say("read"));
        const fork = { ...task("fork", shell("cat file"), say("forked")), from: "base" };
        const answers = await turn(
          server,
          session.id,
          message(done?.id as string, read),
          message(one, read),
          cancel(two),
          start(fork),
          wait(),
        );
        const finished = answers.at(-1)?.metadata.finished ?? [];
        expect(finished.map(({ state, result }) => [state, result as string])).toEqual([
          ["completed", "read"],
          ["completed", "read"],
          ["cancelled", undefined as never],
          ["completed", "went on"],
          ["completed", "forked"],
        ]);
        expect(finished[0]?.sessionID).toBe(done?.sessionID as string);
        expect((await outputsOf(server, finished[0], "sandbox_exec")).at(-1)).toBe("base\n[exit code 0]");
        const parts = await server.toolParts(finished[1]?.sessionID as string, "sandbox_exec");
        expect(parts.at(-1)?.state).toMatchObject({ output: "one\n[exit code 0]" });
        expect(await outputsOf(server, finished[4], "sandbox_exec")).toEqual(["base\n[exit code 0]"]);
        await until(() => sandboxesOf(lab.home).length === 0, { what: "every sandbox is given up" });
        expect((await ask(server, session.id, status())).metadata.pool).toMatchObject({ running: 0, queued: 0 });

        const revived = script(shell("cat file"), say("revived"));
        const [, last] = await turn(server, session.id, message(two, revived), wait({ jobs: [two] }));
        expect(last?.metadata.finished).toMatchObject([{ id: two, state: "completed", result: "revived" }]);
        const ofTwo = await server.toolParts(last?.metadata.finished[0]?.sessionID as string, "sandbox_exec");
        expect(ofTwo.at(-1)?.state).toMatchObject({ output: "two\n[exit code 0]" });
      }),
    120_000,
  );
}

const boards = async ({ server }: LabServer, sessionID: string) =>
  (await server.messages(sessionID))
    .flatMap(({ parts }) => parts)
    .some((part) => part.type === "text" && part.text.includes("● **"));

sandboxTest(
  "a configuration reload interrupts running jobs and loses none",
  () =>
    withLab({}, async ({ server, home }) => {
      const session = await server.createSession();
      const seconds = uniqueSeconds();
      const sleeper = task(
        "sleeps",
        shell(`echo kept > file; sleep ${seconds}`, { timeout_seconds: 900 }),
        say("slept"),
      );
      const { metadata } = await ask(server, session.id, start(sleeper));
      const id = metadata.jobs[0]?.id as string;
      await until(() => commandsWith(seconds).length > 0, { what: "it sleeps", timeoutMs: 30_000 });
      const since = server.events.all.length;
      await server.client.instance.dispose();
      await server.events.waitFor((event) => event.type === "server.connected", { what: "it is back", since });
      await until(() => commandsWith(seconds).length === 0, { what: "its command has ended" });
      expect((await ask(server, session.id, status())).metadata.jobs).toMatchObject([{ id, state: "interrupted" }]);
      const [, waited] = await turn(server, session.id, message(id, script(shell("cat file"), say("back"))), wait());
      expect(waited?.metadata.finished).toMatchObject([{ id, state: "completed", result: "back" }]);
      const parts = await server.toolParts(waited?.metadata.finished[0]?.sessionID as string, "sandbox_exec");
      expect(parts.at(-1)?.state).toMatchObject({ output: "kept\n[exit code 0]" });
      expect(existsSync(join(home.stateDir, "sessions", `${session.id}.db`))).toBe(true);
    }),
  60_000,
);
