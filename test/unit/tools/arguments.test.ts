import { describe, expect, test } from "bun:test";
import type { JobView } from "../../../src/views/job-view.ts";
import { inWorld } from "../jobs/runtime-world.ts";
import { errorOf, openTools } from "./tool-host.ts";

/** tool, its bad arguments, the words the refusal must contain */
const BAD: [tool: string, args: unknown, words: string[]][] = [
  ["agents_start", {}, ["tasks"]],
  ["agents_start", null, ["tasks"]],
  ["agents_start", { tasks: [] }, ["tasks", "at least one task"]],
  ["agents_start", { tasks: {} }, ["tasks", "at least one task"]],
  ["agents_start", { tasks: "Count the words." }, ["tasks", "expected a list", 'found "Count the words."']],
  ["agents_start", { tasks: '[{"prompt": "cut off' }, ["tasks", "expected a list"]],
  ["agents_start", { tasks: [{}], extra: 1 }, ["extra"]],
  ["agents_status", { jobs: true }, ["jobs", "found true"]],
  ["agents_status", { jobs: [7] }, ["jobs[0]", "found 7"]],
  ["agents_status", { jobs: [["job_1", "job_2"]] }, ["jobs[0]"]],
  ["agents_status", { state: "running" }, ['"state"', "Possible are: jobs"]],
  ["agents_wait", { until: "some" }, ["until", '"all", "any" or a whole number from 1']],
  ["agents_wait", { until: -1 }, ["until", "found -1"]],
  ["agents_wait", { timeout_seconds: 14_401 }, ["timeout_seconds", "14400", "found 14401"]],
  ["agents_wait", { timeout_seconds: "soon" }, ["timeout_seconds", 'found "soon"']],
  ["agents_wait", { timeout_seconds: "30 parsecs" }, ["timeout_seconds"]],
  ["agents_wait", { timeout: 30 }, ['"timeout"', 'do you mean "timeout_seconds"?']],
  ["agents_message", { job: "job_1" }, ["message"]],
  ["agents_message", { job: "job_1", message: " \n" }, ["message", "empty"]],
  ["agents_message", { job: "job_1", message: "x", interrupt: "maybe" }, ["interrupt"]],
  ["agents_cancel", { jobs: [] }, ["jobs", "name at least one job"]],
  ["agents_cancel", { jobs: ["", null] }, ["jobs", "name at least one job"]],
  ["agents_cancel", {}, ["jobs"]],
  ["agents_message", { jobs: ["job_1", "job_2"], message: "x" }, ["job", "expected a text"]],
  ["agents_collect", { job: "job_1", mode: "zip" }, ["mode", "branch"]],
  ["experiments_list", { direction: "up" }, ["direction", "min", "max", 'found "up"']],
  ["experiments_list", { limit: 5000 }, ["limit", "200", "found 5000"]],
  ["experiments_list", { scope: "all" }, ["scope", "project"]],
  ["experiments_score", {}, ["jobs"]],
  ["experiments_score", { jobs: ["job_1"], benchmark: 5 }, ["benchmark", "name", "found 5"]],
  ["sandbox_snapshot", { label: "no spaces" }, ["label", "letters, digits"]],
  ["sandbox_snapshot", { label: "b\u0435st" }, ["label", "English letters"]], // a Cyrillic one
  ["sandbox_snapshot", { label: "be\u0301st" }, ["label", "English letters"]],
  ["sandbox_snapshot", { label: "x".repeat(65) }, ["label", "at most 64"]],
  ["sandbox_snapshot", { label: "best\nof" }, ["label", "English letters"]],
  ["sandbox_snapshot", { label: "-x" }, ["label", "the first a letter or digit"]],
  ["sandbox_snapshot", { label: "snap_best" }, ["label", "looks like an id"]],
  ["sandbox_snapshot", { label: "IM-best" }, ["label", "looks like an id"]],
  ["sandbox_snapshot", { label: "default" }, ["label", "stands for no snapshot"]],
  ["sandbox_snapshot", { label: "job_1" }, ["label", "looks like an id"]],
  ["sandbox_exec", { command: "  " }, ["command", "empty"]],
  ["sandbox_exec", { command: "ls", timeout_seconds: -1 }, ["timeout_seconds"]],
  ["sandbox_exec", { command: "ls", timeout: 5 }, ["timeout"]],
  ["sandbox_process", {}, ["process: expected a text, and there is none"]],
  ["sandbox_process", { process: "1", signal: "SIGSEGV" }, ["signal", "SIGTERM"]],
  ["sandbox_process", { process: "1", wait_seconds: 3_601 }, ["wait_seconds", "3600"]],
  ["sandbox_read", { path: "a", offset: -1 }, ["offset", "found -1"]],
  ["sandbox_read", { path: "" }, ["path"]],
  ["sandbox_read", { path: "a", limit: 1_501 }, ["limit", "1500"]],
  ["sandbox_write", { path: "a" }, ["content"]],
  ["sandbox_edit", { path: "a", old_string: "", new_string: "b" }, ["old_string", "sandbox_write"]],
  ["job_report", { metrics: { loss: "low" } }, ["metrics.loss", "number"]],
  ["job_report", { status: "", metrics: null, step: 3 }, ["there is nothing to report", '"status"', '"metrics"']],
  ["job_report", { metrics: "q=0.5" }, ["metrics: expected numbers by name", '{"val_bpb": 2.31}']],
  ["job_report", { step: "10/20" }, ['step: expected a number, such as 10, found "10/20"']],
  ["job_report", { metrics: { loss: Number.NaN } }, ["metrics.loss"]],
];

describe("bad arguments are refused with the field and the reason:", () => {
  for (const [tool, args, words] of BAD) {
    test(`${tool} ${JSON.stringify(args).slice(0, 60)}`, async () => {
      const world = { runtime: new Proxy({}, { get: () => expect.unreachable() }) } as never; // refused before anything opens
      const answer = await openTools(world).call(tool, args);
      expect(errorOf(answer)?.code).toBe("invalid_task");
      expect(answer.output).toStartWith(`Error invalid_task: ${tool} was called with bad arguments: `);
      for (const word of words) expect(answer.output).toContain(word);
    });
  }
});

test("every tool refuses some arguments", () => {
  const { tools } = openTools({} as never);
  expect([...new Set(BAD.map(([tool]) => tool))].sort()).toEqual(tools.map(({ name }) => name).sort());
});

test(
  "a bad task becomes a failed job that names the task and the field; the other tasks start",
  inWorld(async (world) => {
    const good = { description: "good", prompt: "say 1" };
    const run = { description: "run", command: "make" };
    const bad = [
      { description: "x".repeat(81), prompt: 7, gpu: ["T4", "H100"] },
      { description: "no prompt" },
      { ...good, agent: 7 },
      { ...good, agnet: "reviewer" },
      { ...good, timeout_minutes: -1 },
      '{"prompt": "broken',
      null,
      { ...good, skills: ["golf", ["x", "y"]] },
      { ...run, metrics: ["loss"] },
      { ...run, stop: { metric: "loss", direction: "min" } },
      { ...run, stop: { metric: "loss", direction: "min", rungs: "early" } },
      { ...run, seeds: [1, 2] },
      { ...run, repeats: 3 },
    ];
    const { metadata, title, output } = await openTools(world).call("agents_start", { tasks: [good, ...bad] });
    const jobs = metadata.jobs as JobView[];
    expect(jobs.map(({ state }) => state)).toEqual(["queued", ...bad.map(() => "failed" as const)]);
    const seeds = 'for repeats do you mean "matrix": {"SEED": [1, 2, 3]}?';
    const ofRuns = [
      'metrics: expected for each metric the text that its number follows in the output, such as {"loss": "val_loss:"}',
      "stop.rungs: expected a list of the steps at which runs are compared, such as [100, 300, 900]",
      'stop.rungs[0]: expected a number, found "early"',
      `there is no argument "seeds"; ${seeds}`,
      `there is no argument "repeats"; ${seeds}`,
    ];
    const fields = ["gpu", "prompt", "agent", "agnet", "timeout_minutes", "", "", "skills[1]", ...ofRuns];
    for (const [index, field] of fields.entries()) {
      const { error } = jobs[index + 1] as JobView;
      expect(error?.code).toBe("invalid_task");
      expect(error?.message).toStartWith(`task ${index + 2}: `);
      expect(error?.message).toContain(field);
    }
    expect(jobs[1]?.description).toBe(`${"x".repeat(79)}…`);
    expect(jobs[6]?.description).toBe("task 7");
    expect(title).toBe("1 job started");
    expect(output).toContain("agents_wait");
  }),
);

/** a task's wrong field, the words that say what is allowed there */
const BAD_FIELDS: [more: object, words: string][] = [
  [
    {
      matrix: [
        { LR: 0.1, WD: 0.1 },
        { LR: 0.2, WD: 0.3 },
      ],
    },
    'matrix: expected a list of values for each name, {"LR": [0.1, 0.01]}: every combination is run; combinations of your choice are a task each, found [{',
  ],
  [{ matrix: "LR=0.1" }, "matrix: expected a list of values for each name"],
  [{ matrix: { V: [null, 0.1] } }, "matrix.V[0]: expected a text, a number or a boolean; write null or a list as text"],
  [{ matrix: { V: [1, [0.9, 0.99]] } }, "matrix.V[1]: expected a text, a number or a boolean"],
  [{ matrix: { V: { range: [1, 10] } } }, 'matrix.V: expected a list of values, such as [0.1, 0.01], found {"range"'],
  [{ matrix: { parameters: { V: [1, 2] } } }, "matrix.parameters: expected a list of values, such as"],
  [{ matrix: [{ name: "V", min: 0, max: 1 }] }, "matrix: expected a list of values for each name"],
  [{ matrix: { V: "1, 2" } }, "matrix.V: expected a list of values, such as [0.1, 0.01], found"],
  [{ env: { V: 1 } }, 'there is no argument "env"; do you mean "matrix"?'],
  [
    { environment: { V: 1 } },
    'environment: expected the name of an environment; variables of a run are given in "matrix"',
  ],
  [{ env: "cuda" }, 'there is no argument "env"; do you mean "environment"?'],
];

for (const [more, words] of BAD_FIELDS)
  test(
    `a task is told what may be where it has ${JSON.stringify(more)}`,
    inWorld(async (world) => {
      const task = { description: "d", command: "make", ...more };
      const { metadata } = await openTools(world).call("agents_start", { tasks: [task] });
      expect((metadata.jobs as JobView[])[0]?.error?.message).toContain(words);
    }),
  );

test("a bug throws; only failures a model can act on are answered", async () => {
  const world = {
    get runtime(): never {
      throw new TypeError("a bug");
    },
  };
  await expect(openTools(world as never).call("agents_status", {})).rejects.toThrow("a bug");
});
