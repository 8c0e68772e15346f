import { expect } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { inJob, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

// One slot: a job that waits for a run of its own must lend it that slot.
const setup = useProject({ maxRunningJobs: 1 });

sandboxTest(
  "a job starts runs of its own files in the only slot, sees nothing else, and is told of their ends",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const [started, waited, seen] = await turn(
      server,
      session.id,
      start(
        task(
          "tries",
          shell("echo first > note"),
          start({ description: "run", command: "cat note; echo $X", matrix: { X: [1, 2] } }),
          shell("echo second > note"),
          wait(),
          start(
            { description: "agent", prompt: "do more" },
            { description: "foreign", command: "true", from: "job_other" },
            { description: "later", command: "cat note; exit 3" },
          ),
          wait(),
          status(),
          say("tried"),
        ),
      ),
      wait(),
      status(),
    );
    const id = started?.metadata.jobs[0]?.id ?? "";
    const [job] = waited?.metadata.finished ?? [];
    expect(job).toMatchObject({ id, state: "completed", result: "tried" });
    expect(job?.notes.join()).toContain("It started 5 runs itself: 2 completed, 3 failed.");
    const runs = seen?.metadata.jobs.filter(({ kind }) => kind === "run") ?? [];
    expect(runs.map(({ startedBy, state }) => [startedBy, state])).toEqual([
      [id, "completed"],
      [id, "completed"],
      [id, "failed"],
      [id, "failed"],
      [id, "failed"],
    ]);
    expect(runs.map(({ parent }) => parent)).toEqual([id, id, undefined, undefined, id]);
    expect(runs[1]).toMatchObject({ params: { X: 2 } });
    expect(runs.slice(2).map(({ error }) => error?.code)).toEqual(["invalid_task", "invalid_task", "command_failed"]);
    const answers = (await server.messages(job?.sessionID as string)).flatMap(({ parts }) => parts);
    const outputs = answers.flatMap((part) =>
      part.type === "tool" && part.state.status === "completed" ? [part.state.output] : [],
    );
    expect(outputs[3]).toContain("first"); // as the files were at the call
    expect(outputs[4]).toContain("only commands");
    expect(outputs[5]).toContain("second");
    expect(outputs[6]).not.toContain("tries"); // its own job is none of its runs
    expect((await server.messages(session.id)).filter(({ info }) => info.role === "user")).toHaveLength(1);
  },
);

sandboxTest("runs that are open when their job ends are cancelled and named", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const [, waited, , seen] = await turn(
    server,
    session.id,
    start(task("leaves", start({ description: "long", command: "sleep 600" }), say("left"))),
    wait(),
    wait(),
    status(),
  );
  const run = seen?.metadata.jobs.find(({ kind }) => kind === "run");
  expect(waited?.metadata.finished[0]?.notes.join()).toContain(`were cancelled: ${run?.id}`);
  expect(run).toMatchObject({ state: "cancelled", error: { message: "its job has ended" } });
});

sandboxTest("inside a job nothing else of the orchestrator's can be called or named", async () => {
  const session = await setup.server.createSession();
  const [other] = await turn(setup.server, session.id, start({ description: "theirs", command: "true" }), wait());
  const theirs = other?.metadata.jobs[0]?.id ?? "";
  const answers = await inJob(
    setup.server,
    status(theirs),
    wait({ jobs: [theirs] }),
    start({ description: "fork", command: "true", from: theirs }),
  );
  expect(answers.map(({ metadata }) => (metadata as { error?: { code: string } }).error?.code)).toEqual([
    "not_found",
    "not_found",
    undefined,
  ]);
  expect(answers[2]?.output).toContain("names no snapshot of this job");
});
