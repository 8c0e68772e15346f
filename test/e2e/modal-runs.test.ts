import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync } from "node:fs";
import { fileAt, type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { restart } from "../support/opencode.ts";
import { commandsWith, sandboxTest, uniqueSeconds } from "../support/sandboxes.ts";
import { ask, cancel, start, status, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ maxRunningJobs: 4 });
});

afterAll(async () => {
  await setup?.stop();
});

sandboxTest("runs on Modal end with their commands, whatever those leave running", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const seconds = uniqueSeconds();
  const [, waited] = await turn(
    server,
    session.id,
    start(
      { description: "values", command: "echo $A", matrix: { A: [0.1, "x y"] } },
      { description: "fails", command: "echo oh; exit 3", gpu: "T4" },
      { description: "leaves", command: `(sleep ${seconds}) & setsid sleep ${seconds} & echo started` },
    ),
    wait(),
  );
  const ended = waited?.metadata.finished.map(({ state, exitCode, result }) => [state, exitCode, result as string]);
  expect(ended).toEqual([
    ["completed", 0, "0.1"],
    ["completed", 0, "x y"],
    ["failed", 3, "oh"],
    ["completed", 0, "started"],
  ]);
  await noneLeft(modal);
  expect(commandsWith(seconds)).toEqual([]);
});

sandboxTest(
  "runs on Modal begin again once when OpenCode is killed: in their sandbox, where the former command is ended first, or from the start",
  async () => {
    const { modal } = setup;
    const session = await setup.server.createSession();
    const seconds = uniqueSeconds();
    const sleepers = () => commandsWith(seconds).filter((command) => command.startsWith("sleep "));
    const [started] = await turn(
      setup.server,
      session.id,
      start(
        {
          description: "in place",
          command: `echo x >> log; [ -e stop ] && exec cat log; touch stop; setsid sleep ${seconds} & sleep ${seconds}`,
        },
        { description: "lost", command: `touch lost; echo began; sleep ${seconds}` },
      ),
    );
    const [inPlace = "", lost = ""] = started?.metadata.jobs.map(({ id }) => id) ?? [];
    await until(() => sleepers().length === 3, { what: "both run" });
    setup.server = await restart(setup.server, setup.home, "SIGKILL", async () => {
      const live = await modal.sandboxes({ live: true });
      for (const sandbox of live) if (existsSync(fileAt(sandbox, "lost"))) await modal.kill(sandbox.id);
    });
    const { finished } = (await ask(setup.server, session.id, wait({ jobs: [inPlace] }))).metadata;
    expect(finished).toMatchObject([{ state: "completed", attempts: 2, result: "x\nx" }]);
    await until(() => sleepers().length === 1, { what: "only the lost one runs, once" });
    const [again] = (await ask(setup.server, session.id, status(lost))).metadata.jobs;
    expect(again).toMatchObject({ state: "running", attempts: 2 });
    expect(again?.notes.join()).toContain("began again by itself from the beginning");
    await ask(setup.server, session.id, cancel(lost));
    await noneLeft(modal);
    expect(commandsWith(seconds)).toEqual([]);
  },
);
