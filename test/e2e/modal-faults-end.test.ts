import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import type { Fault } from "../support/modal-server/faults.ts";
import { type ModalSetup, noneLeft, startModalSetup, withModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { ask, inJob, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

const ALWAYS = { times: 1_000 };

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ modal: { snapshotTimeoutSeconds: 5 } });
});

afterEach(async () => {
  await setup.modal.faults.clear();
  await noneLeft(setup.modal);
});

afterAll(async () => {
  await setup?.stop();
});

const SNAPSHOTS: Readonly<Record<string, { fault: Omit<Fault, "method">; end: RegExp }>> = {
  "a connection cut once": { fault: { code: 14 }, end: /im-/ },
  "a connection cut once, after the work": { fault: { code: 14, when: "after" }, end: /im-/ },
  "an internal error every time": { fault: { code: 13, ...ALWAYS }, end: /^Error snapshot_failed/ },
  "a limit of the workspace": { fault: { code: 8, ...ALWAYS }, end: /^Error snapshot_failed.*out of order/ },
  "silence every time": {
    fault: { hang: true, ...ALWAYS },
    end: /^Error snapshot_failed.*modal\.snapshotTimeoutSeconds/,
  },
  "an answer past its time": { fault: { delayMs: 60_000, when: "after", ...ALWAYS }, end: /^Error snapshot_failed/ },
};

for (const [what, { fault, end }] of Object.entries(SNAPSHOTS)) {
  sandboxTest(`a snapshot meets ${what}: its job is told, and goes on`, async () => {
    const { modal, server } = setup;
    await modal.faults.add({ method: "TaskSnapshotFilesystem", message: "out of order", ...fault });
    const session = await server.createSession();
    const freezes = [call("sandbox_snapshot", { label: "x" }), shell("echo goes on")];
    await ask(server, session.id, start(task(what, ...freezes, say("ran"))));
    const { finished } = (await ask(server, session.id, wait())).metadata;
    await modal.faults.clear(); // what it is parked with succeeds, at once or after the next turn
    expect(finished).toMatchObject([{ state: "completed", result: "ran" }]);
    expect((await outputsOf(server, finished[0], "sandbox_snapshot"))[0]).toMatch(end);
    expect(await outputsOf(server, finished[0], "sandbox_exec")).toEqual(["goes on\n[exit code 0]"]);
    const wakes = message(finished[0]?.id as string, script(say("awake")));
    const [, woken] = await turn(server, session.id, wakes, wait());
    expect(woken?.metadata.finished).toMatchObject([{ state: "completed", result: "awake", turns: 2 }]);
  });
}

const logged = ({ server }: ModalSetup, what: string, jobID: string) => {
  const line = new RegExp(`${what}.*${jobID}`);
  return until(() => line.test(server.log()), { what: `the log says: ${what}` });
};

sandboxTest("keeps a sandbox that cannot be frozen, and parks it once it can be", async () => {
  const { modal, server } = setup;
  await modal.faults.add({ method: "TaskSnapshotFilesystem", code: 13, ...ALWAYS });
  const session = await server.createSession();
  const [, done] = await turn(server, session.id, start(task("keeps", shell("echo kept > n"), say("ok"))), wait());
  const [job] = done?.metadata.finished ?? [];
  expect(job).toMatchObject({ state: "completed" });
  await logged(setup, "could not park a sandbox", job?.id as string);
  expect((await ask(server, session.id, status())).metadata.jobs).toMatchObject([{ sandbox: "live" }]);
  expect(await modal.sandboxes({ live: true })).toHaveLength(1);
  await modal.faults.clear();
  const made = (await modal.sandboxes()).length;
  const [, again] = await turn(
    server,
    session.id,
    message(job?.id as string, script(shell("cat n"), say("read"))),
    wait(),
  );
  expect((await outputsOf(server, again?.metadata.finished[0], "sandbox_exec"))[1]).toBe("kept\n[exit code 0]");
  expect(await modal.sandboxes()).toHaveLength(made);
  await noneLeft(modal);
  expect((await ask(server, session.id, status())).metadata.jobs).toMatchObject([{ sandbox: "parked" }]);
});

for (const [what, fault] of Object.entries<Omit<Fault, "method">>({
  "fails once": { code: 14 },
  "fails a few times": { code: 13, times: 6 },
  "fails after the work": { code: 14, when: "after" },
})) {
  sandboxTest(`a termination that ${what} ends the sandbox all the same`, async () => {
    await setup.modal.faults.add({ method: "SandboxTerminateV2", ...fault });
    const [answer] = await inJob(setup.server, shell("echo ran"));
    expect(answer?.output).toBe("ran\n[exit code 0]");
    await noneLeft(setup.modal);
  });
}

sandboxTest(
  "leaves a sandbox that cannot be terminated to its own time limits, and gives a follow-up another one",
  () =>
    withModalSetup(
      { environments: { default: { idleTimeoutMinutes: 1 } } },
      { server: { secondMs: 100 } },
      async (setup) => {
        const { server, modal } = setup;
        await modal.faults.add({ method: "SandboxTerminateV2", code: 7, ...ALWAYS });
        const session = await server.createSession();
        const [, done] = await turn(server, session.id, start(task("ends", shell("echo kept > n"), say("ok"))), wait());
        const [job] = done?.metadata.finished ?? [];
        await logged(setup, "could not end a sandbox", job?.id as string);
        await noneLeft(modal);
        await modal.faults.clear();
        const reads = message(job?.id as string, script(shell("cat n"), say("read")));
        const [, again] = await turn(server, session.id, reads, wait());
        expect((await outputsOf(server, again?.metadata.finished[0], "sandbox_exec"))[1]).toBe("kept\n[exit code 0]");
        await noneLeft(modal);
      },
    ),
);
