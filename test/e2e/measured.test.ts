import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say } from "../support/scripted.ts";
import { ask, shell, start, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

const EVAL = `read value < model.txt; read answer < data/answer.txt
echo "METRIC loss=$((answer - value + SEED))"; echo "METRIC cheat=1"\n`;

const setup = useProject(
  {
    maxRunningJobs: 4,
    environments: { default: { workspace: "project" }, bare: { workspace: "empty" } },
    benchmarks: {
      loss: { command: "sh eval.sh", metric: "loss", direction: "min", protect: ["eval.sh", "data/**"], repeats: 2 },
      kept: { command: "sh eval.sh", metric: "loss", direction: "min", protect: ["eval.sh"], setting: "snapshot" },
      weights: {
        ...{ command: "cat out/w.bin; sh eval.sh", metric: "loss", direction: "min" },
        ...{ protect: ["eval.sh"], artifacts: ["out/*.bin"] },
      },
      broken: { command: "echo METRIC los=1; exit 0", metric: "loss", direction: "min" },
      failing: { command: "echo METRIC loss=1; exit 3", metric: "loss", direction: "min" },
    },
  },
  { files: { "model.txt": "10\n", "eval.sh": EVAL, "data/answer.txt": "100\n", ".gitignore": "out/\n" } },
);

const score = (jobs: readonly string[], more: object = {}) => call("experiments_score", { jobs, ...more });

sandboxTest(
  "jobs are measured with the project's own evaluation, and what they say of themselves falls at once",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const [, made] = await turn(
      server,
      session.id,
      start(
        { description: "honest", command: "echo 30 > model.txt; mkdir out; echo weights > out/w.bin" },
        {
          description: "cheater",
          command: "echo 'echo METRIC loss=0' > eval.sh; echo 0 > data/answer.txt; echo x > conftest.py; ln -s data d",
        },
        task(
          "boaster",
          shell("echo 20 > model.txt; git add -A; git commit -qm better"),
          call("job_report", { metrics: { loss: 0 } }),
          say("loss 0"),
        ),
        { description: "bare", command: "true", environment: "bare" },
      ),
      wait(),
    );
    const [honest, cheater, boaster, bare] = (made?.metadata.finished ?? []).map(({ id }) => id);
    expect(made?.metadata.finished[2]?.metrics).toMatchObject({ loss: { value: 0, source: "reported" } });
    const ids = [honest, cheater, boaster, bare] as string[];
    const [scored, waited, , status] = await turn(
      server,
      session.id,
      score(ids, { benchmark: "loss" }),
      wait(),
      score([honest as string], { benchmark: "weights" }),
      wait(),
    ).then(async (answers) => [...answers.slice(0, 3), await ask(server, session.id, call("agents_status", {}))]);
    expect(scored?.metadata.jobs.map(({ kind, state, params }) => [kind, state, params?.SEED])).toEqual([
      ...Array.from({ length: 6 }, (_, n) => ["run", "queued", (n % 2) + 1]),
      ["run", "failed", undefined],
    ]);
    expect(scored?.metadata.jobs[6]?.error).toMatchObject({
      code: "invalid_task",
      message: expect.stringContaining("did not start from a project's files"),
    });
    const runs = (waited?.metadata.finished ?? []).filter(
      ({ description, state }) => description.startsWith("loss of") && state === "completed",
    );
    expect(runs.map(({ metrics }) => metrics.loss?.value)).toEqual([71, 72, 91, 92, 81, 82]);
    for (const { metrics } of runs) {
      expect(Object.keys(metrics)).toEqual(["loss"]);
      expect(metrics.loss?.source).toBe("clean");
    }
    const notes = runs.flatMap((run) => (run.parent === cheater ? run.notes : [])).join(" ");
    for (const name of ["eval.sh", "data/answer.txt", "conftest.py", "d ("]) expect(notes).toContain(name);
    const now = new Map(status?.metadata.jobs.map((job) => [job.id, job]));
    expect(now.get(boaster as string)?.metrics).toMatchObject({ loss: { value: 81.5, source: "clean" } });
    expect(now.get(cheater as string)?.metrics).toMatchObject({ loss: { value: 91.5, source: "clean" } });
    const [withWeights] = [...now.values()].filter(({ description }) => description.startsWith("weights of"));
    expect(withWeights).toMatchObject({ state: "completed", metrics: { loss: { value: 71, source: "clean" } } });
    expect(withWeights?.result).toContain("weights\n");

    await turn(
      server,
      session.id,
      score([cheater as string], { benchmark: "kept" }),
      score([honest as string], { benchmark: "broken" }),
      score([honest as string], { benchmark: "failing" }),
      wait(),
    );
    const all = await ask(server, session.id, call("agents_status", {}));
    const ofBenchmark = (name: string) => all.metadata.jobs.find((job) => job.description.startsWith(`${name} of`));
    expect(ofBenchmark("kept")?.metrics).toMatchObject({ loss: { value: -9, source: "snapshot" } });
    expect(ofBenchmark("broken")).toMatchObject({ state: "failed", exitCode: 0, error: { code: "command_failed" } });
    expect(ofBenchmark("broken")?.error?.message).toContain("the metric loss never came");
    expect(ofBenchmark("failing")).toMatchObject({ exitCode: 3, error: { code: "command_failed" } });
    const after = await ask(server, session.id, call("agents_status", { jobs: [cheater, honest] }));
    expect(after.metadata.jobs.map(({ metrics }) => metrics.loss)).toMatchObject([
      { value: 91.5, source: "clean" },
      { source: "clean" },
    ]);
  },
);

sandboxTest("numbers from before the project changed its evaluation stand below those from after it", async () => {
  const { server, home } = setup;
  const session = await server.createSession();
  const measure = async (description: string) => {
    const [, made] = await turn(server, session.id, start({ description, command: "echo 50 > model.txt" }), wait());
    const id = made?.metadata.finished.find((job) => job.description === description)?.id as string;
    await turn(server, session.id, score([id], { benchmark: "loss", repeats: 1 }), wait());
    return id;
  };
  const before = await measure("before");
  writeFileSync(join(home.project, "eval.sh"), EVAL.replace("answer -", "2 * answer -"));
  const after = await measure("after");
  writeFileSync(join(home.project, "eval.sh"), EVAL);
  const { output, metadata } = await ask(server, session.id, call("experiments_list", { scope: "session" }));
  const { experiments } = metadata as unknown as { experiments: { job: string; rank?: number; mean: number }[] };
  expect(experiments.map(({ job, rank, mean }) => [job, rank, mean])).toEqual([
    [after, 1, 151],
    [before, undefined, 51],
  ]);
  expect(output).toContain("by this one before it or the files that it protects were changed");
});

sandboxTest("a benchmark or a job that cannot be meant is refused before anything starts", async () => {
  const { server } = setup;
  const session = await server.createSession();
  const own = { command: "sh eval.sh", metric: "loss", direction: "min" };
  const [, made] = await turn(server, session.id, start({ description: "a", command: "true" }), wait());
  const id = made?.metadata.finished[0]?.id as string;
  const cases: readonly (readonly [args: object, code: string, words: string])[] = [
    [{ benchmark: "los" }, "invalid_task", 'do you mean "loss"?'],
    [{}, "invalid_task", "several are configured"],
    [{ benchmark: { ...own, direction: "up" } }, "invalid_task", '"min" or "max"'],
    [{ benchmark: { ...own, protect: ["evals/**"] } }, "invalid_task", '"evals/**", which matches no file'],
    [{ benchmark: { ...own, protect: ["../eval.sh"] } }, "invalid_task", "leads out of the work directory"],
    [{ benchmark: { ...own, artifacts: ["/etc/passwd"] } }, "invalid_task", "Bad artifacts of the benchmark"],
    [{ benchmark: "quality" }, "invalid_task", 'there is no benchmark "quality". Configured:'],
    [{ benchmark: "loss", repeats: 0 }, "invalid_task", "whole number from 1 to 100"],
    [{ benchmark: "loss", repeats: 1000 }, "invalid_task", "whole number from 1 to 100"],
    [{ benchmark: "loss", jobs: ["job_nobody"] }, "not_found", "has no job job_nobody"],
    [{ benchmark: { ...own, environment: "nowhere" } }, "failed", 'environment "nowhere" is not configured'],
    [{ benchmark: { ...own, gpu: "H100:8" } }, "failed", "local sandboxes"],
  ];
  const answers = await turn(server, session.id, ...cases.map(([args]) => score([id], args)));
  for (const [n, [, code, words]] of cases.entries()) {
    const { metadata } = answers[n] as (typeof answers)[number];
    const error = code === "failed" ? metadata.jobs[0]?.error : metadata.error;
    expect(error).toMatchObject({ code: code === "failed" ? "invalid_task" : code });
    expect(error?.message).toContain(words);
  }
});
