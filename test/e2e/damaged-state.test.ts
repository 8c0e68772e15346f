import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { restart } from "../support/opencode.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, message, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

let setup: TestSetup;

beforeAll(async () => {
  setup = await startSetup({ parkAfterSeconds: 900 });
});

afterAll(async () => {
  await setup?.stop();
});

sandboxTest(
  "a finished job of a killed OpenCode is parked by the next one, and goes on after the pool was damaged",
  async () => {
    const { home } = setup;
    const session = await setup.server.createSession();
    const [, waited] = await turn(
      setup.server,
      session.id,
      start(task("one", shell("echo base > file"), say("a"))),
      wait(),
    );
    const id = waited?.metadata.finished[0]?.id ?? "";
    expect(sandboxesOf(home).length).toBe(1);

    setup.server = await restart(setup.server, home, "SIGKILL");
    const other = await setup.server.createSession();
    expect((await ask(setup.server, other.id, status())).output).toContain("This session has started no jobs.");
    await until(() => sandboxesOf(home).length === 0, { what: "its sandbox is parked", timeoutMs: 30_000 });

    setup.server = await restart(setup.server, home, "SIGKILL", async () => {
      const pool = join(home.stateDir, "pool.db");
      for (const suffix of ["", "-wal", "-shm"]) rmSync(pool + suffix, { force: true });
      mkdirSync(pool);
      writeFileSync(join(pool, "precious"), "");
    });
    const { output, metadata } = await ask(setup.server, session.id, status());
    const [aside = ""] = readdirSync(home.stateDir).filter((name) => name.startsWith("pool.db.damaged-"));
    expect(readdirSync(join(home.stateDir, aside))).toEqual(["precious"]);
    expect(output).toContain(`is set aside as ${join(home.stateDir, aside)}`);
    expect(metadata.jobs).toMatchObject([{ id, state: "completed", sandbox: "parked" }]);
    await ask(setup.server, session.id, message(id, script(shell("cat file"), say("read"))));
    const again = await ask(setup.server, session.id, wait({ jobs: [id] }));
    expect(again.metadata.finished).toMatchObject([{ state: "completed", result: "read", turns: 2 }]);
  },
);
