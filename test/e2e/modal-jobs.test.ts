import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import {
  creations,
  holdersAt,
  type ModalSetup,
  noneLeft,
  openGatesAt,
  startModalSetup,
} from "../support/modal-setup.ts";
import { HOLD, sandboxTest } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { ask, message, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

let setup: ModalSetup;

beforeAll(async () => {
  const environments = { default: { idleTimeoutMinutes: 7, sandboxTimeoutMinutes: 90 } };
  setup = await startModalSetup({ environments }, { server: { gpus: { H100: 2 } } });
});

afterEach(() => setup.modal.faults.clear());

afterAll(async () => {
  await setup?.stop();
});

const gpuTask = (gpu: string, ...replies: Parameters<typeof task>[1][]) => ({ ...task(`on ${gpu}`, ...replies), gpu });

sandboxTest(
  "three jobs, on a T4, on two H100 and on none, run at the same time, each in a sandbox of its kind, and leave none",
  async () => {
    const { server, modal } = setup;
    const session = await server.createSession();
    const devices = shell("nvidia-smi -L || echo none");
    const { metadata } = await ask(
      server,
      session.id,
      start(
        gpuTask("T4", shell(HOLD), devices, say("one T4")),
        gpuTask("h100:2", shell(HOLD), devices, say("two H100")),
        task("plain", shell(HOLD), devices, say("no GPU")),
      ),
    );
    const ids = metadata.jobs.map(({ id }) => id);
    await until(async () => (await holdersAt(modal)).length === 3, {
      what: "all three work at once",
    });
    const live = (await ask(server, session.id, status())).metadata.jobs;
    expect(live.map(({ provider, gpu, sandbox }) => [provider, gpu as string, sandbox])).toEqual([
      ["modal", "T4", "live"],
      ["modal", "H100:2", "live"],
      ["modal", undefined as never, "live"],
    ]);

    const made = await creations(modal);
    expect(made.map(({ code }) => code)).toEqual([0, 0, 0]);
    const byJob = ids.map((id) => made.find(({ request }) => definitionOf(request).name === id));
    expect(byJob.map((one) => one?.method)).toEqual(["SandboxCreate", "SandboxCreate", "SandboxCreateV2"]);
    for (const [at, one] of byJob.entries()) {
      const { timeoutSecs, idleTimeoutSecs } = definitionOf(one?.request ?? {});
      expect({ timeoutSecs, idleTimeoutSecs }).toEqual({ timeoutSecs: 90 * 60, idleTimeoutSecs: 7 * 60 });
      expect(one?.request.tags).toEqual([
        { tagName: "job", tagValue: ids[at] },
        { tagName: "session", tagValue: session.id },
        { tagName: "lab", tagValue: expect.stringMatching(/^[0-9a-f]{16}$/) as never },
      ]);
    }
    const running = await modal.sandboxes({ live: true });
    expect(running.map(({ id }) => id).sort()).toEqual(live.map(({ sandboxID }) => sandboxID as string).sort());
    expect(Object.fromEntries(running.map(({ name, gpu, generation }) => [name, [gpu, generation]]))).toEqual({
      [ids[0] as string]: ["T4:1", "v1"],
      [ids[1] as string]: ["H100:2", "v1"],
      [ids[2] as string]: [null, "v2"],
    });

    const uses = async () => (await ask(server, session.id, status())).metadata.jobs.map(({ gpuUse }) => gpuUse);
    await until(async () => (await uses()).filter((use) => use?.now === 50).length === 2, {
      what: "it is measured how busy the GPUs of both are",
    });

    await openGatesAt(modal);
    const { finished } = (await ask(server, session.id, wait())).metadata;
    expect(finished.map(({ state, result }) => [state, result as string])).toEqual([
      ["completed", "one T4"],
      ["completed", "two H100"],
      ["completed", "no GPU"],
    ]);
    const seen = await Promise.all(finished.map(async (job) => (await outputsOf(server, job, "sandbox_exec"))[1]));
    expect(seen).toEqual([
      "Tesla T4\n[exit code 0]",
      "NVIDIA H200\nNVIDIA H200\n[exit code 0]", // Modal may give a better one
      expect.stringMatching(/none\n\[exit code 0\]$/) as never,
    ]);
    await noneLeft(modal);
    const after = (await ask(server, session.id, status())).metadata.jobs;
    expect(after.map(({ sandbox, gpu }) => [sandbox, gpu as string])).toEqual([
      ["parked", "T4"],
      ["parked", "H100:2"],
      ["parked", undefined as never],
    ]);
    expect(after.map(({ gpuUse }) => gpuUse?.utilization as number)).toEqual([50, 50, undefined as never]);
  },
);

const definitionOf = (request: Readonly<Record<string, unknown>>) =>
  (request.definition ?? {}) as { name?: string; timeoutSecs?: number; idleTimeoutSecs?: number };

sandboxTest(
  "a snapshot is forked into two jobs, apart from each other; a directory's snapshot brings that directory",
  async () => {
    const { server, modal } = setup;
    const session = await server.createSession();
    const freeze = (args: object) => call("sandbox_snapshot", args);
    const prepare =
      "mkdir -p data/deep; echo one > data/deep/a; ln -s deep/a data/link; chmod 700 data/deep; echo top > t";
    const base = task(
      "base",
      shell(prepare),
      freeze({ label: "v1" }),
      freeze({ label: "part", path: "data" }),
      say("ok"),
    );
    const [, based] = await turn(server, session.id, start(base), wait());
    expect(based?.metadata.finished).toMatchObject([{ state: "completed" }]);
    const { snapshots } = (await ask(server, session.id, status())).metadata;
    const [whole] = snapshots.map(({ id }) => id);
    expect(snapshots).toMatchObject([
      { id: expect.stringMatching(/^im-/), label: "v1", kind: "filesystem", provider: "modal" },
      { id: expect.stringMatching(/^im-/), label: "part", kind: "directory", provider: "modal" },
    ]);
    const look = (word: string) => `echo ${word} >> data/deep/a; cat data/link; stat -c %a data/deep; ls`;
    const fork = (from: string | undefined, word: string, more: object = {}) => ({
      ...task(`fork ${word}`, shell(look(word)), say("forked")),
      from,
      ...more,
    });
    const forks = [fork("v1", "left"), fork(whole, "right", { gpu: "T4" }), fork("part", "part")];
    const [, forked] = await turn(server, session.id, start(...forks), wait());
    const jobs = forked?.metadata.finished.slice(1) ?? [];
    expect(jobs.map(({ state }) => state)).toEqual(["completed", "completed", "completed"]);
    const outputs = await Promise.all(jobs.map(async (job) => (await outputsOf(server, job, "sandbox_exec"))[0]));
    expect(outputs).toEqual([
      "one\nleft\n700\ndata\nt\n[exit code 0]",
      "one\nright\n700\ndata\nt\n[exit code 0]",
      "one\npart\n700\ndata\n[exit code 0]",
    ]);
    await noneLeft(modal);
  },
);

sandboxTest(
  "a follow-up revives a parked job in its own session, with its files, on its GPU; an expired snapshot says so",
  async () => {
    const { server, modal, model } = setup;
    const session = await server.createSession();
    const keeps = gpuTask("T4", shell("echo kept > note; echo too > ~/home; chmod 700 note"), say("the secret is 42"));
    const [, first] = await turn(server, session.id, start(keeps), wait());
    const [job] = first?.metadata.finished ?? [];
    await noneLeft(modal);
    const reads = script(shell("cat note ~/home; stat -c %a note; nvidia-smi -L"), say("read"));
    const [sent, second] = await turn(server, session.id, message(job?.id as string, reads), wait());
    expect(sent?.metadata.jobs).toMatchObject([{ id: job?.id, state: "queued", sandbox: "parked" }]);
    expect(second?.metadata.finished).toMatchObject([
      { id: job?.id, sessionID: job?.sessionID, state: "completed", turns: 2, result: "read", gpu: "T4" },
    ]);
    expect((await outputsOf(server, job, "sandbox_exec"))[1]).toBe("kept\ntoo\n700\nTesla T4\n[exit code 0]");
    const asked = model.requests.findLast(({ tools }) => tools.includes("sandbox_exec"));
    expect(JSON.stringify(asked?.messages)).toContain("the secret is 42");
    await noneLeft(modal);

    const { snapshot } = (await ask(server, session.id, status())).metadata.jobs[0] ?? {};
    await modal.expireImage(snapshot as string);
    const [, third] = await turn(server, session.id, message(job?.id as string, reads), wait());
    expect(third?.metadata.finished).toMatchObject([
      { state: "failed", error: { code: "snapshot_expired", message: expect.stringContaining(snapshot as string) } },
    ]);
    await noneLeft(modal);
  },
);

sandboxTest("a run that is stopped early gives up its GPU while the better one goes on", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const stop = { metric: "loss", direction: "min", rungs: [3], keep: 0.5 };
  const command = `echo "METRIC loss=$LOSS step=3"; if [ $LOSS = 1 ]; then ${HOLD}; else sleep 600; fi`;
  const sweep = { description: "train", command, gpu: "H100", matrix: { LOSS: [1, 2] }, stop };
  const before = (await modal.sandboxes()).length;
  await ask(server, session.id, start(sweep));
  await until(
    async () =>
      (await holdersAt(modal)).length === 1 &&
      (await modal.sandboxes()).length === before + 2 &&
      (await modal.sandboxes({ live: true })).length === 1,
    {
      what: "only the better one has a sandbox",
    },
  );
  const { jobs } = (await ask(server, session.id, status())).metadata;
  expect(jobs.map(({ state, metrics }) => [state, metrics.loss?.value ?? null])).toEqual([
    ["running", 1],
    ["cancelled", 2],
  ]);
  expect(jobs[1]).toMatchObject({ reason: "stopped early", stopped: { rung: 3, value: 2, cut: 1 } });
  const used = async () =>
    (await ask(server, session.id, status())).metadata.pool.gpus as Record<string, { used: number }>;
  await until(async () => (await used()).total?.used === 1, { what: "its GPU is free" });
  await openGatesAt(modal);
  const { finished } = (await ask(server, session.id, wait())).metadata;
  expect(finished.map(({ state }) => state).sort()).toEqual(["cancelled", "completed"]);
});
