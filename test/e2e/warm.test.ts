import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { typingCommand } from "../../src/views/typing.ts";
import { noneLeft, withModalSetup } from "../support/modal-setup.ts";
import { restart } from "../support/opencode.ts";
import { HOLD, holders, openGates, sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { ask, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

const WARM = { parkAfterSeconds: 600, environments: { default: { workspace: "project", warm: 2 } } };

/** What a job finds: its files, whether git sees changes in them, and what lies about. */
const LOOK = shell(
  "cat README.md notes.txt; git status --porcelain; ls -A ~ /tmp; cat /proc/1/environ | tr '\\0' '\\n' | grep -i warm",
);

sandboxTest(
  "typing makes sandboxes ready, a job gets one with the files as they are now, and after a kill none are left",
  async () => {
    const setup = await startSetup(WARM);
    try {
      const { home } = setup;
      const session = await setup.server.createSession();
      expect(sandboxesOf(home)).toEqual([]); // not when OpenCode starts
      // As the part in the terminal UI does it.
      const command = typingCommand(session.id);
      await setup.server.client.tui.publish({ body: { type: "tui.command.execute", properties: { command } } });
      await until(() => sandboxesOf(home).length === 2, { what: "typing makes two" });
      const ready = async () => (await ask(setup.server, session.id, status())).metadata.environments[0]?.warm === 2;
      await until(ready, { what: "two are ready", everyMs: 500 });
      const warm = sandboxesOf(home);
      expect(warm.length).toBe(2);
      const answer = await ask(setup.server, session.id, status());
      expect(answer.output).toContain('Environment "default": 2 warm sandboxes ready');
      expect(answer.metadata).toMatchObject({
        jobs: [],
        environments: [{ name: "default", state: "ready", warm: 2 }],
        pool: { running: 0, queued: 0 },
      });

      writeFileSync(join(home.project, "README.md"), "# Changed since\n");
      writeFileSync(join(home.project, "notes.txt"), "new\n");
      const [, waited] = await turn(setup.server, session.id, start(task("looks", LOOK, say("seen"))), wait());
      const job = waited?.metadata.finished[0];
      expect(job).toMatchObject({ state: "completed", notes: [] });
      expect(warm).toContain(job?.sandboxID ?? "");
      const [seen] = await outputsOf(setup.server, job, "sandbox_exec");
      expect(seen).toStartWith("# Changed since\nnew\n");
      expect(seen).not.toMatch(/warm|\?\?|^ M/m);
      await until(async () => sandboxesOf(home).length === 3, { what: "another takes its place" });

      const left = sandboxesOf(home).filter((id) => id !== job?.sandboxID);
      setup.server = await restart(setup.server, home, "SIGKILL");
      await ask(setup.server, session.id, status());
      const ended = () => !sandboxesOf(home).some((id) => left.includes(id));
      await until(ended, { what: "those of the killed OpenCode are ended" });
    } finally {
      await setup.stop();
    }
    expect(sandboxesOf(setup.home)).toEqual([]);
  },
);

sandboxTest(
  "a job takes one that is being made when it starts, with the files of its environment and of the project",
  async () => {
    const environment = { workspace: "project", warm: 1, setup: `${HOLD}; echo of the set-up > ~/made` };
    const setup = await startSetup({ parkAfterSeconds: 600, environments: { default: environment } });
    try {
      const { server, home } = setup;
      const session = await server.createSession();
      await server.prompt(session.id, script(say("hello")));
      await until(() => holders(home).length === 1, { what: "one is being made: its set-up runs" });
      await turn(
        server,
        session.id,
        start(task("looks", shell("cat ~/made README.md; git status --porcelain"), say("seen"))),
      );
      const [job] = (await ask(server, session.id, status())).metadata.jobs;
      await until(async () => (await ask(server, session.id, status())).metadata.environments[0]?.warm === 0, {
        what: "it is the job's",
      });
      openGates(home);
      const waited = await ask(server, session.id, wait());
      const [seen] = await outputsOf(server, waited.metadata.finished[0], "sandbox_exec");
      expect(job?.state).toBe("starting");
      expect(seen).toStartWith("of the set-up\n# A project\n[exit code 0]");
      expect(server.log()).not.toContain("could not be given to a job");
    } finally {
      await setup.stop();
    }
  },
);

test("on Modal a message makes them ready, a job gets one with the files as they are now, it is tagged as the job's, and none outlives OpenCode", () => {
  return withModalSetup(WARM, {}, async (setup) => {
    const { server, home, modal } = setup;
    const live = async () => (await modal.sandboxes({ live: true })).filter(({ tags }) => tags.tree === undefined);
    const session = await server.createSession();
    await server.prompt(session.id, script(say("hello")));
    const ready = async () => (await ask(server, session.id, status())).metadata.environments[0]?.warm === 2;
    await until(ready, { what: "two are ready", everyMs: 500 });
    const warm = (await live()).map(({ id }) => id);
    expect((await live()).map(({ tags }) => Object.keys(tags).sort())).toEqual([
      ["lab", "warm"],
      ["lab", "warm"],
    ]);
    writeFileSync(join(home.project, "README.md"), "# Changed since\n");
    const look = shell("cat README.md; git status --porcelain");
    const [, waited, asked] = await turn(server, session.id, start(task("looks", look, say("seen"))), wait(), status());
    const job = waited?.metadata.finished[0];
    expect(warm).toContain(job?.sandboxID ?? "");
    const [seen] = await outputsOf(server, job, "sandbox_exec");
    expect(seen).toStartWith("# Changed since\n[exit code 0]");
    expect((await live()).find(({ id }) => id === job?.sandboxID)?.tags).toMatchObject({
      job: job?.id,
      session: session.id,
    });
    // What keeping them has cost is told, and counts beside the jobs' own.
    expect(asked?.output).toMatch(/warm sandbox(es)? ready.*\$0\.\d+ so far/);
    expect(asked?.metadata.spend.computeUsd ?? 0).toBeGreaterThan(job?.usd.compute ?? 0);
    await server.client.instance.dispose(); // as when OpenCode closes
    await until(async () => (await live()).every(({ tags }) => tags.warm === undefined), {
      what: "no warm one is left",
    });
    await noneLeft(modal);
  });
});
