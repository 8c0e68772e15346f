import { afterAll, beforeAll, expect } from "bun:test";
import { holdersAt, type ModalSetup, noneLeft, openGatesAt, startModalSetup } from "../support/modal-setup.ts";
import { restart } from "../support/opencode.ts";
import { HOLD, sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

let setup: ModalSetup;

beforeAll(async () => {
  // It asks again every six seconds, for a minute.
  setup = await startModalSetup({ maxRunningJobs: 2, modal: { gpuWaitMinutes: 1 } });
});

afterAll(async () => {
  await setup?.stop();
});

async function leave(): Promise<void> {
  await setup.modal.stopRouter();
  await setup.modal.stopControl();
}

async function comeBack(): Promise<void> {
  await setup.modal.startControl();
  await setup.modal.startRouter();
}

const reasons = async (sessionID: string) =>
  (await ask(setup.server, sessionID, status())).metadata.jobs.map(({ reason }) => String(reason));

sandboxTest("jobs that come to start while Modal is away wait for it", async () => {
  const session = await setup.server.createSession();
  const run = (text: string) =>
    call("agents_start", { tasks: [{ description: text, command: `echo ${text}`, matrix: { N: [1, 2] } }] });
  await turn(setup.server, session.id, run("before"), wait());
  await leave();
  await turn(setup.server, session.id, run("meanwhile"), start(task("an agent", shell("echo hello"), say("did"))));
  const waited = new Set<string>();
  const allWaited = async () => {
    for (const { id, state, reason } of (await ask(setup.server, session.id, status())).metadata.jobs) {
      expect(state).not.toBe("failed");
      if (/^its provider cannot be reached, .+; asks again in /.test(reason ?? "")) waited.add(id);
    }
    return waited.size === 3;
  };
  await until(allWaited, { what: "all of them wait" });
  await comeBack();
  const { finished } = (await ask(setup.server, session.id, wait())).metadata;
  expect(finished.map(({ state }) => state)).toEqual(finished.map(() => "completed"));
  await noneLeft(setup.modal);
});

for (const kind of ["agent", "run"] as const) {
  sandboxTest(
    `after a restart while Modal is away, an interrupted ${kind} waits and then goes on in its own sandbox`,
    async () => {
      const session = await setup.server.createSession();
      const command = `echo again >> log; cat log | wc -l; ${HOLD}`;
      await turn(
        setup.server,
        session.id,
        kind === "agent"
          ? start(task("an agent", shell(command, { timeout_seconds: 900 }), say("went on")))
          : call("agents_start", { tasks: [{ description: "a run", command }] }),
      );
      await until(async () => (await holdersAt(setup.modal)).length === 1, { what: "it is at work" });
      const [before] = (await ask(setup.server, session.id, status())).metadata.jobs;
      await leave();
      setup.server = await restart(setup.server, setup.home, "SIGKILL");
      await until(async () => /cannot be reached/.test((await reasons(session.id))[0] ?? ""), { what: "it waits" });
      await comeBack();
      const running = async () => (await ask(setup.server, session.id, status())).metadata.jobs[0];
      await until(async () => /running|completed/.test((await running())?.state ?? ""), { what: "it goes on" });
      await until(
        async () => {
          await openGatesAt(setup.modal);
          return (await running())?.state === "completed";
        },
        { what: "it ends" },
      );
      expect((await running())?.sandboxID ?? before?.sandboxID).toBe(before?.sandboxID as string);
      await noneLeft(setup.modal);
    },
  );
}
