import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { restart } from "../support/opencode.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
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
  "a message makes sandboxes ready, a job gets one with the files as they are now, and after a kill none are left",
  async () => {
    const setup = await startSetup(WARM);
    try {
      const { home } = setup;
      const session = await setup.server.createSession();
      expect(sandboxesOf(home)).toEqual([]); // not when OpenCode starts
      await setup.server.prompt(session.id, script(say("hello")));
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
