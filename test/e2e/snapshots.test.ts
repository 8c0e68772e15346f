import { expect } from "bun:test";
import { HOLD, holders, openGates, sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

const setup = useProject();

const freeze = (args: object = {}) => call("sandbox_snapshot", args);
const from = (snapshot: string | undefined, description: string, command: string) => ({
  ...task(description, shell(command), say("forked")),
  from: snapshot,
});

sandboxTest("forks two independent jobs from the snapshot of a running job", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const base = task(
    "base",
    // As a module cache of Go and a careless chmod have them.
    shell("echo one > a; mkdir d m s; ln -s ../a d/link; touch m/f s/f; chmod 0444 m/f; chmod 0555 m; chmod 0 s"),
    shell(HOLD),
    shell("cat a"),
    say("based"),
  );
  await ask(server, session.id, start(base));
  await until(() => holders(home).length === 1, { what: "the base holds" });
  const { id } = (await ask(server, session.id, status())).metadata.jobs[0] ?? {};
  const frozen = await ask(server, session.id, freeze({ job: id, label: "v1" }));
  expect(frozen.metadata).toStrictEqual({
    id: expect.stringMatching(/^snap_[a-z0-9]{12}$/),
    label: "v1",
    job: id as string,
    kind: "filesystem",
    createdAt: expect.any(String),
    provider: "local",
    sizeBytes: expect.any(Number),
    truncated: false,
  } as never);
  expect(frozen.output).toContain('from: "v1"');
  const append = (word: string) => `echo ${word} >> d/link; touch go; cat a; ls`;
  const forks = [from("v1", "left", append("left")), from(frozen.metadata.id, "right", append("right"))];
  const [started] = await turn(server, session.id, start(...forks), wait({ until: 2 }));
  const [left, right] = started?.metadata.jobs ?? [];
  openGates(home);
  const { finished } = (await ask(server, session.id, wait())).metadata;
  expect(finished.map(({ state }) => state)).toEqual(["completed", "completed", "completed"]);
  const ofJob = async (job: (typeof finished)[number] | undefined) =>
    outputsOf(
      server,
      finished.find((one) => one.id === job?.id),
      "sandbox_exec",
    );
  expect(await ofJob(left)).toEqual(["one\nleft\na\nd\nentered\ngo\nm\ns\n[exit code 0]"]);
  expect(await ofJob(right)).toEqual(["one\nright\na\nd\nentered\ngo\nm\ns\n[exit code 0]"]);
  expect((await ofJob(finished[0])).at(-1)).toBe("one\n[exit code 0]");

  const second = (await ask(server, session.id, freeze({ job: left?.id, label: "v2" }))).metadata;
  expect(second).toMatchObject({ parent: frozen.metadata.id, job: left?.id as string });
  const { metadata, output } = await ask(server, session.id, status());
  expect(metadata.snapshots.map(({ id, label, parent }) => [id, label as string, parent as string])).toEqual([
    [frozen.metadata.id, "v1", undefined as never],
    [second.id, "v2", frozen.metadata.id],
  ]);
  expect(output).toContain(`snapshot ${second.id} "v2" of ${left?.id}`);
});

sandboxTest(
  "takes the newer of two snapshots with one label, and brings only the directory that was frozen",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const makes = task(
      "makes",
      shell("mkdir -p deep/er; echo old > deep/er/file; echo out > outside; echo home > ~/h"),
      freeze({ label: "x" }),
      shell("echo new > deep/er/file"),
      freeze({ label: "x" }),
      freeze({ label: "part", path: "deep" }),
      freeze({ label: "abs", path: "/workspace/deep/er" }),
      freeze({ path: "/etc" }),
      freeze({ path: "missing" }),
      freeze({ label: "../bad" }),
      freeze({ job: "job_000000000000" }),
      say("made"),
    );
    const [, made] = await turn(server, session.id, start(makes), wait());
    const answers = await server.toolParts(made?.metadata.finished[0]?.sessionID as string, "sandbox_snapshot");
    const metadata = answers.map(({ state }) => (state.status === "completed" ? state.metadata : {}));
    const job = made?.metadata.finished[0]?.id as string;
    expect(metadata).toMatchObject([
      { label: "x", job, kind: "filesystem" },
      { label: "x", job, kind: "filesystem" },
      { label: "part", kind: "directory" },
      { label: "abs", kind: "directory" },
      { error: { code: "snapshot_failed", message: expect.stringContaining("/etc") } },
      { error: { code: "snapshot_failed", message: expect.stringContaining("missing") } },
      { error: { code: "invalid_task", message: expect.stringContaining("label") } },
      { error: { code: "not_found", message: expect.stringContaining("job_000000000000") } },
    ]);
    const look = "find . -type f | sort | xargs grep -H . ; ls ~/h";
    const tasks = ["x", metadata[0]?.id as string, "part", "abs"].map((name) => from(name, name, look));
    const [, looked] = await turn(server, session.id, start(...tasks), wait());
    const outputs = await Promise.all(
      (looked?.metadata.finished ?? []).slice(1).map((one) => outputsOf(server, one, "sandbox_exec")),
    );
    const lines = outputs.map(([output = ""]) => output.split("\n").filter((line) => line.startsWith("./")));
    expect(lines).toEqual([
      ["./deep/er/file:new", "./outside:out"],
      ["./deep/er/file:old", "./outside:out"],
      ["./deep/er/file:new"],
      ["./deep/er/file:new"],
    ]);
    expect(outputs.map(([output = ""]) => output.includes("/h\n") && output.endsWith("[exit code 0]"))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  },
);

sandboxTest(
  "tells a job that its label belongs to another job, and forks nothing of its files by that label",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const one = task("one", shell("echo one > who"), freeze({ label: "best" }), say("frozen"));
    const [, first] = await turn(server, session.id, start(one), wait());
    const owner = first?.metadata.finished[0]?.id as string;
    const rival = task("rival", shell("echo rival > who"), freeze({ label: "Best" }), say("tried"));
    const [, second] = await turn(server, session.id, start(rival), wait());
    const job = second?.metadata.finished.at(-1);
    const [answer] = await outputsOf(server, job, "sandbox_snapshot");
    expect(answer).toMatch(
      new RegExp(
        `^Snapshot (snap_\\w+) of ${job?.id} is taken, without the label "Best": that is ${owner}'s, .*from: "\\1"\\.$`,
      ),
    );
    // What its model has been told is what the host stored.
    expect(setup.model.requests.some(({ messages }) => messages.some(({ content }) => content === answer))).toBe(true);
    const [, forked] = await turn(server, session.id, start(from("best", "fork", "cat who")), wait());
    expect(await outputsOf(server, forked?.metadata.finished.at(-1), "sandbox_exec")).toEqual(["one\n[exit code 0]"]);
    const { metadata } = await ask(server, session.id, status());
    expect(metadata.snapshots.map(({ job: of, label }) => [of, label as string])).toEqual([
      [owner, "best"],
      [job?.id as string, undefined as never],
    ]);
  },
);

sandboxTest("promotes a parked job's snapshot, and keeps it when the job continues", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const [, done] = await turn(server, session.id, start(task("parks", shell("echo 1 > n"), say("ok"))), wait());
  const id = done?.metadata.finished[0]?.id as string;
  await until(() => sandboxesOf(home).length === 0, { what: "it is parked" });
  const parked = (await ask(server, session.id, status())).metadata.jobs[0]?.snapshot as string;
  const [promoted, partly, unknown] = await turn(
    server,
    session.id,
    freeze({ job: id, label: "kept" }),
    freeze({ job: id, path: "/workspace" }),
    freeze(),
  );
  expect(promoted?.metadata).toMatchObject({ id: parked, label: "kept", kind: "filesystem" });
  expect(partly?.metadata.error).toMatchObject({
    code: "snapshot_failed",
    message: expect.stringContaining("is parked"),
  });
  expect(unknown?.metadata.error).toMatchObject({ code: "not_found" });

  const changes = task("", shell("echo 2 > n"), say("changed")).prompt;
  await turn(server, session.id, call("agents_message", { job: id, message: changes }), wait());
  await until(() => sandboxesOf(home).length === 0, { what: "it is parked again" });
  const [, forked] = await turn(server, session.id, start(from("kept", "fork", "cat n")), wait());
  expect(await outputsOf(server, forked?.metadata.finished[1], "sandbox_exec")).toEqual(["1\n[exit code 0]"]);
  const { metadata } = await ask(server, session.id, status());
  expect(metadata.snapshots.map((one) => one.id)).toEqual([parked]);
  expect(metadata.jobs[0]?.snapshot).not.toBe(parked);
});
