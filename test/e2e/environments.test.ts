import { expect } from "bun:test";
import { HOLD, holders, openGates, sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { call } from "../support/scripted.ts";
import { startProject } from "../support/test-setup.ts";
import { ask, start, status, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

/* Environments with a set-up, whose jobs start from what it has left. */

const run = (command: string, environment: string) => ({ description: command, command, environment });

sandboxTest(
  "an environment is set up once, is seen in status while it is, and fails its jobs with its output",
  async () => {
    const environments = {
      made: { workspace: "project", setup: [`cat main.txt > ~/seen; ${HOLD}`, "echo two >> ~/seen"] },
      broken: { setup: "echo no such package; exit 4" },
    };
    const setup = await startProject(
      { environments, provider: "local" },
      { files: { "main.txt": "of the project\n" } },
    );
    const { server, home } = setup;
    const { id } = await server.createSession();

    const started = await ask(
      server,
      id,
      start(run("cat ~/seen", "made"), run("cat ~/seen left; echo more >> main.txt; echo new > new.txt", "made")),
    );
    expect(started.output).toContain("Environment made is built first, once for all jobs: its set-up has 2 commands");
    await until(() => holders(home).length > 0, { what: "the first command runs" });
    const building = await ask(server, id, status());
    expect(building.metadata.environments).toMatchObject([
      { name: "default", state: "ready", warm: 0 },
      { name: "made", state: "building", building: { step: 1, of: 2 } },
      { name: "broken", state: "stale" },
    ]);
    expect(building.output).toContain("Environment made: building (1 of 2 commands: cat main.txt");
    for (const job of building.metadata.jobs)
      expect(job.reason).toStartWith("building environment made (1 of 2 commands: cat");
    expect(sandboxesOf(home)).toHaveLength(1);
    openGates(home);
    const [waited] = await turn(server, id, wait());
    const results = waited?.metadata.finished.map(({ result }) => result).sort();
    expect(results?.[0]).toBe("of the project\ntwo");
    expect(results?.[1]).toMatch(/^of the project\ntwo\n\d+$/);

    const changed = waited?.metadata.finished.find(({ description }) => description.includes("new.txt"))?.id;
    const collected = await ask(server, id, call("agents_collect", { job: changed }));
    expect(collected.output).toContain("1 commit, 2 files, +2 -0"); // what set-up made is not the job's, and is named
    expect(collected.output).toContain("- entered: git ignores it");

    const [, failed, after] = await turn(server, id, start(run("true", "broken")), wait(), status());
    const job = failed?.metadata.finished.find(({ environment }) => environment === "broken");
    expect(job).toMatchObject({ state: "failed", error: { code: "setup_failed" } });
    expect(job?.error?.message).toContain("command 1 of 1, `echo no such package; exit 4`, ended with exit code 4");
    const [, made, broken] = after?.metadata.environments ?? [];
    expect(made).toMatchObject({ state: "ready", builtAt: expect.any(String) });
    expect(broken).toMatchObject({ state: "failed", error: { code: "setup_failed" } });
    expect(after?.output).toMatch(/Environment made: ready, built \d+ s ago in \d+ s/);
    expect(after?.output).toContain("no such package");
    await until(() => sandboxesOf(home).length === 0, { what: "every sandbox has ended" });
    await setup.stop();
  },
);
