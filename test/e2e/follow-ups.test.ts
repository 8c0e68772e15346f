import { expect } from "bun:test";
import {
  commandsWith,
  HOLD,
  holders,
  openGates,
  sandboxesOf,
  sandboxTest,
  uniqueSeconds,
} from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { ask, cancel, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject();

const allParked = () => until(() => sandboxesOf(setup.home).length === 0, { what: "every sandbox is given up" });
const runs = (text: string) => until(() => commandsWith(text).length > 0, { what: `a command with ${text} runs` });

sandboxTest("restores the files and the conversation of a parked job for a message", async () => {
  const { server, model } = setup;
  const session = await server.createSession();
  const notes = "echo kept > note; mkdir -p ~/.cache; echo too > ~/.cache/n; chmod 755 note; echo other > /tmp/t";
  const [, first] = await turn(
    server,
    session.id,
    start(task("keeps", shell(notes), shell("echo up; sleep 600", { background: true }), say("the secret is 42"))),
    wait(),
  );
  const job = first?.metadata.finished[0];
  await allParked();
  const [sent, second] = await turn(
    server,
    session.id,
    message(
      job?.id as string,
      script(
        shell("cat note ~/.cache/n /tmp/t; stat -c %a note"),
        call("sandbox_process", { process: "$process1" }),
        say("read"),
      ),
    ),
    wait(),
  );
  expect(sent?.metadata.jobs).toMatchObject([{ id: job?.id, state: "queued", sandbox: "parked", turns: 1 }]);
  expect(second?.metadata.finished).toMatchObject([
    { id: job?.id, sessionID: job?.sessionID, turns: 2, result: "read" },
  ]);
  expect((await outputsOf(server, job, "sandbox_exec"))[2]).toBe("kept\ntoo\nother\n755\n[exit code 0]");
  expect((await outputsOf(server, job, "sandbox_process"))[0]).toMatch(
    /^\(no new output\)\n\[exit code unknown: it ended when the sandbox was parked at \d\d:\d\d UTC, after the job's turn; files are kept, processes are not; its output until then was logged in \S+\]$/,
  );
  const remembered = model.requests.findLast(({ tools }) => tools.includes("sandbox_exec"));
  expect(JSON.stringify(remembered?.messages)).toContain("the secret is 42");
  expect((await server.children(session.id)).length).toBe(1);
});

sandboxTest("runs messages to a running job as its next turns, in order", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const { metadata } = await ask(server, session.id, start(task("busy", shell(HOLD), say("first"))));
  const id = metadata.jobs[0]?.id as string;
  await until(() => holders(home).length === 1, { what: "it is busy" });
  const add = (word: string) => message(id, script(shell(`echo ${word} >> words; cat words`), say(word)));
  const sent = await turn(server, session.id, add("second"), add("third"));
  for (const { metadata } of sent) expect(metadata.jobs).toMatchObject([{ state: "running", turns: 1 }]);
  openGates(home);
  const { finished } = (await ask(server, session.id, wait())).metadata;
  expect(finished).toMatchObject([{ id, state: "completed", turns: 3, result: "third" }]);
  const outputs = await outputsOf(server, finished[0], "sandbox_exec");
  expect(outputs.slice(1)).toEqual(["second\n[exit code 0]", "second\nthird\n[exit code 0]"]);
});

sandboxTest("ends the running command for an interrupting message, and follows it at once", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const seconds = uniqueSeconds();
  const slow = task(
    "slow",
    shell("echo here > file"),
    shell(`sleep ${seconds}`, { timeout_seconds: 900 }),
    say("slept"),
  );
  const { metadata } = await ask(server, session.id, start(slow));
  const id = metadata.jobs[0]?.id as string;
  await runs(seconds);
  const [, waited] = await turn(
    server,
    session.id,
    message(id, script(shell("cat file; pgrep -c sleep"), say("obeyed")), { interrupt: true }),
    wait(),
  );
  expect(waited?.metadata.finished).toMatchObject([{ id, state: "completed", turns: 2, result: "obeyed" }]);
  expect(commandsWith(seconds)).toEqual([]);
  const parts = await server.toolParts(waited?.metadata.finished[0]?.sessionID as string, "sandbox_exec");
  expect(parts.at(-1)?.state).toMatchObject({ status: "completed", output: "here\n0\n[exit code 1]" });
});

sandboxTest(
  "stops a cancelled job at once, changes nothing when it is cancelled twice, and wakes it with its files for a message",
  async () => {
    const { server, home } = setup;
    const session = await server.createSession();
    const seconds = uniqueSeconds();
    const endless = `sleep ${seconds} & echo before > file; setsid -w sleep ${seconds}`;
    const tasks = [
      task("ends", shell(endless, { timeout_seconds: 900 })),
      task("goes on", shell(HOLD), say("unharmed")),
    ];
    const { metadata } = await ask(server, session.id, start(...tasks));
    const [id, other] = metadata.jobs.map((job) => job.id) as [string, string];
    await runs(seconds);
    await until(() => holders(home).length === 1, { what: "the other one works" });
    const gone = call("agents_cancel", { jobs: [id], reason: "wrong idea" });
    const { jobs } = (await ask(server, session.id, gone)).metadata;
    expect(jobs).toMatchObject([
      {
        id,
        state: "cancelled",
        sandbox: "parked",
        error: { code: "cancelled", message: "wrong idea", retryable: false },
      },
    ]);
    expect(commandsWith(seconds)).toEqual([]);
    expect(sandboxesOf(home)).toHaveLength(1);
    expect((await ask(server, session.id, cancel(id))).metadata.jobs).toEqual(jobs as never);

    openGates(home);
    const [, , waited] = await turn(
      server,
      session.id,
      wait({ jobs: [other] }),
      message(id, script(shell("cat file"), say("awake"))),
      wait(),
    );
    expect(waited?.metadata.finished).toMatchObject([
      { id, state: "completed", turns: 2, result: "awake" },
      { id: other, state: "completed", result: "unharmed" },
    ]);
    const [woken] = waited?.metadata.finished ?? [];
    const parts = await server.toolParts(woken?.sessionID as string, "sandbox_exec");
    expect(parts.at(-1)?.state).toMatchObject({ status: "completed", output: "before\n[exit code 0]" });
    await allParked();
  },
);

sandboxTest("never starts a cancelled queued job, and cancels a job whose model is silent", async () => {
  const own = await startSetupIn(setup, { maxRunningJobs: 1 });
  try {
    const { server, model } = own;
    const before = { requests: model.requests.length, disconnected: model.disconnected.length };
    const session = await server.createSession();
    const { metadata } = await ask(
      server,
      session.id,
      start(task("silent", { hang: true }), task("queued", say("no"))),
    );
    const [silent, queued] = metadata.jobs.map((job) => job.id) as [string, string];
    await until(() => model.requests.slice(before.requests).some(({ tools }) => tools.includes("sandbox_exec")), {
      what: "the model is asked",
    });
    const [first, second, last] = await turn(server, session.id, cancel(queued), cancel(silent), status());
    expect(first?.metadata.jobs).toMatchObject([{ id: queued, state: "cancelled", turns: 0, sandbox: "none" }]);
    expect(second?.metadata.jobs).toMatchObject([{ id: silent, state: "cancelled", turns: 1 }]);
    expect(last?.metadata.pool).toMatchObject({ running: 0, queued: 0 });
    expect(model.disconnected.slice(before.disconnected)).toHaveLength(1);
    expect(sandboxesOf(own.home)).toEqual([]);
  } finally {
    await own.stop();
  }
});
