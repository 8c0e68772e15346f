import { describe, expect, test } from "bun:test";
import { decideRunTask, type RunContext, runWishesOfAgent } from "../../../src/core/run-task-request.ts";
import type { TaskRequest } from "../../../src/core/task.ts";
import { CATALOG } from "../jobs/runtime-world.ts";

const context: RunContext = {
  catalog: CATALOG,
  environments: { default: { gpu: null }, cuda: { gpu: "t4" } },
  gpuLimits: { total: 8 },
  provider: "modal",
  findSnapshot: () => null,
  lostLabel: () => null,
  findJob: () => null,
  newestOf: () => null,
  ownerOf: () => null,
  isSnapshot: () => false,
  orchestratorModel: "acme/large",
  orchestratorVariant: "high",
  forbidden: [],
  maxRunsPerCall: 512,
  runsBefore: 0,
};
const decide = (more: Partial<TaskRequest>, where: Partial<RunContext> = {}) =>
  decideRunTask({ description: "d", command: "make", ...more }, { ...context, ...where });
const accepted = (...given: Parameters<typeof decide>) => {
  const decision = decide(...given);
  if (decision.kind !== "accepted") throw new Error(decision.failure.message);
  return decision;
};
const refusal = (...given: Parameters<typeof decide>) => {
  const decision = decide(...given);
  if (decision.kind !== "refused") throw new Error(`accepted ${JSON.stringify(decision.tasks)}`);
  expect(decision.failure).toMatchObject({ code: "invalid_task", retryable: false });
  return decision.failure.message;
};

describe("a task that is a command", () => {
  test("has no prompt, agent or model, and its defaults", () => {
    expect(accepted({}).tasks).toEqual([
      {
        description: "d",
        prompt: "",
        agent: "",
        model: null,
        variant: null,
        environment: "default",
        gpu: null,
        snapshotID: null,
        skills: [],
        forbidden: [],
        rules: [],
        timeoutMinutes: null,
        maxUsd: null,
        run: { command: "make", params: {}, metrics: {}, files: [], reuse: false, stop: null, measures: null },
      },
    ]);
  });

  test("keeps what it asks for, and half of the runs at a rung unless it says otherwise", () => {
    const stop = { metric: " loss ", direction: "min" as const, rungs: [1, 10.5] };
    const [task] = accepted({
      environment: "cuda",
      timeout_minutes: 3,
      max_usd: 2,
      metrics: { loss: "val_loss:" },
      files: ["out/**"],
      reuse: true,
      stop,
    }).tasks;
    expect(task).toMatchObject({ environment: "cuda", gpu: "T4", timeoutMinutes: 3, maxUsd: 2 });
    expect(task?.run).toMatchObject({
      metrics: { loss: "val_loss:" },
      files: ["out/**"],
      reuse: true,
      stop: { metric: "loss", direction: "min", rungs: [1, 10.5], keep: 0.5 },
    });
  });

  test("is one run per combination, told apart by its values however long its description is", () => {
    const { tasks } = accepted({ description: "words ".repeat(30), matrix: { LR: [0.1, 0.01], SEED: [1] } });
    expect(tasks.map(({ run }) => run?.params)).toEqual([
      { LR: 0.1, SEED: 1 },
      { LR: 0.01, SEED: 1 },
    ]);
    for (const { description } of tasks) expect([...description].length).toBeLessThanOrEqual(80);
    expect(tasks[1]?.description).toEndWith(" (LR=0.01)");
  });

  test("is refused whole where the call has more runs than allowed, with their number", () => {
    const hundred = Array.from({ length: 100 }, (_, n) => n);
    expect(refusal({ matrix: { A: hundred, B: hundred } })).toContain("this task has 10,000 runs:");
    expect(refusal({}, { runsBefore: 512 })).toContain("one more run, and the tasks before it have 512");
    expect(accepted({ matrix: { A: hundred } }, { runsBefore: 412 }).tasks).toHaveLength(100);
  });

  test("names what it was given and a run has not", () => {
    const { notes } = accepted({ agent: "reviewer", model: "acme/small", variant: "low", skills: ["golf"] });
    expect(notes).toEqual([`The task's "agent", "model", "variant", "skills" were ignored: a run has no model.`]);
    expect(accepted({ skills: [] }).notes).toEqual([]);
  });

  test("says that runs with GPUs do not share sandboxes", () => {
    expect(accepted({ reuse: true, gpu: "T4" }).notes.join()).toContain('"reuse" has no effect');
    expect(accepted({ reuse: true, environment: "cuda" }).notes.join()).toContain('"reuse" has no effect');
    expect(accepted({ reuse: true, environment: "cuda", gpu: "none" }).notes).toEqual([]);
    expect(accepted({ gpu: "T4" }).notes).toEqual([]);
  });

  test("is told that rungs count reports where its metric has no steps", () => {
    const stop = { metric: "loss", direction: "min", rungs: [100, 200] } as const;
    const metrics = { loss: "val loss:" };
    expect(accepted({ stop, metrics }).notes.join()).toMatch(/the first comparison comes with report 100.*step=n/);
    expect(accepted({ stop, metrics: { acc: "acc:" } }).notes).toEqual([]);
    expect(accepted({ stop: { ...stop, rungs: [1, 2, 4] }, metrics }).notes).toEqual([]);
  });

  test("names a variable that looks like a misspelt one of its matrix", () => {
    const notes = (command: string) => accepted({ command, matrix: { LEARNING_RATE: [1], SEED: [1] } }).notes;
    expect(notes("train --lr $LEARNING_RAT --seed ${SEEDS:-1}").join()).toMatch(/\$LEARNING_RAT,.*\$SEEDS,/);
    expect(notes("train --seed $SEDE").join()).toContain("$SEDE,");
    expect(notes("train $LEARNING_RATE $SEED $HOME $1 $$ $(date)")).toEqual([]);
    expect(notes("SEEDS=3; train $SEEDS")).toEqual([]);
    expect(notes("for SEEDS in 1 2; do train $SEEDS; done")).toEqual([]);
  });

  test("is refused where the user forbids commands to jobs", () => {
    expect(refusal({}, { forbidden: ["sandbox_exec"] })).toContain("permissions forbid commands");
    expect(accepted({}, { forbidden: ["sandbox_write"] }).tasks[0]?.forbidden).toEqual(["sandbox_write"]);
  });

  test.each<[Partial<TaskRequest>, string]>([
    [{ prompt: "do it" }, 'either "prompt"'],
    [{ command: " \n" }, "command is empty"],
    [{ command: "a\0b" }, "NUL"],
    [{ command: "é".repeat(50_001) }, "100002 bytes"],
    [{ environment: "nope" }, 'environment "nope"'],
    [{ gpu: "H1000" }, "H1000"],
    [{ from: "nope" }, '"nope"'],
    [{ matrix: { "A B": [1] } }, '"A B"'],
    [{ metrics: { "": "x" } }, "metrics has a name of 0"],
    [{ metrics: { loss: " " } }, "no text to look for"],
    [{ files: ["/etc/passwd"] }, "leaves the work directory"],
    [{ files: ["a/../../b"] }, "leaves the work directory"],
    [{ files: ["~/x"] }, "leaves the work directory"],
    [{ files: [""] }, "names no file"],
    [{ files: ["out/*.{json,txt}"] }, "alternatives in braces"],
    [{ files: ["out/**", "!out/big"] }, "cannot take back"],
    [{ files: ["out/**.json"] }, '"**" stands alone'],
    [{ files: ["lib/.GIT/config"] }, "never collected"],
    [{ stop: { metric: " ", direction: "min", rungs: [1] } }, "stop.metric"],
    [{ stop: { metric: "a", direction: "min", rungs: [] } }, "stop.rungs needs"],
    [{ stop: { metric: "a", direction: "min", rungs: [1, 1] } }, "stop.rungs must be positive"],
    [{ stop: { metric: "a", direction: "min", rungs: [0] } }, "stop.rungs must be positive"],
    [{ stop: { metric: "a", direction: "min", rungs: [1], keep: 0 } }, "stop.keep"],
    [{ stop: { metric: "a", direction: "min", rungs: [1], keep: 1 } }, "stop.keep"],
  ])("is refused with a reason: %j", (more, why) => {
    expect(refusal(more)).toContain(why);
  });
});

test("an agent's task is refused what decides how many jobs there are, and told of what it lacks besides", () => {
  const wishes = (more: Partial<TaskRequest>) => runWishesOfAgent({ description: "d", prompt: "p", ...more });
  expect(wishes({ matrix: { A: [1] } }).problem).toContain("matrix can be given to a run only");
  expect(wishes({ files: ["a"], reuse: true })).toEqual({
    problem: null,
    notes: [`The task's "files", "reuse" were ignored: an agent has none of that.`],
  });
  expect(wishes({ files: [], reuse: false, matrix: {} })).toEqual({ problem: null, notes: [] });
});
