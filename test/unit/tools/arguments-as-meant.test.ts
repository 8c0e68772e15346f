import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { readArguments } from "../../../src/tools/read-arguments.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

/* Arguments as models write them, and what they mean. */

const idsIn = (metadata: Record<string, unknown>, ...lists: string[]) =>
  lists.flatMap((list) => (metadata[list] as JobView[]).map(({ id }) => id)).sort();

test(
  "a list of jobs that says nothing means all of the session's jobs, and one in another form means the jobs it names",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [a = "", b = "", c = ""] = await world.start("say 1", "say 2", "say 3");
    for (const id of [a, b, c]) await world.reaches(id, "completed");
    const all: unknown[] = [
      {},
      null,
      { jobs: [] },
      { jobs: "" },
      { jobs: " " },
      { jobs: null },
      { jobs: [""] },
      { jobs: [null] },
    ];
    all.push(
      ...[{ jobs: "null" }, { jobs: "none" }, { jobs: "[]" }, { jobs: {} }, { job: "" }, { jobs: [], until: 0 }],
      ...[{ jobs: "all" }, { jobs: ["All"] }, { jobs: "*" }, { jobs: 0 }, { jobs: false }, { jobs: '["all"]' }],
    );
    for (const args of all) {
      if (!JSON.stringify(args).includes("until"))
        expect([args, idsIn((await call("agents_status", args)).metadata, "jobs")]).toEqual([args, [a, b, c]]);
      expect([args, idsIn((await call("agents_wait", args)).metadata, "finished")]).toEqual([args, [a, b, c]]);
    }
    const two: unknown[] = [
      { jobs: `["${a}", "${b}"]` },
      { jobs: `${a}, ${b}` },
      { jobs: `${a} ${b}` },
      { jobs: `['${a}','${b}']` },
    ];
    two.push({ job: [a, b] }, { job_ids: [a, b] }, { jobs: [{ id: a }, { id: b }] }, { jobs: { jobs: [a, b] } });
    two.push({ jobs: [` ${a} `, "", b] });
    for (const args of two)
      expect([args, idsIn((await call("agents_status", args)).metadata, "jobs")]).toEqual([args, [a, b]]);
    for (const args of [{ jobs: a }, { job: a }, { jobs: `"${a}"` }, { id: a }, `{"jobs":["${a}"]}`])
      expect([args, idsIn((await call("agents_status", args)).metadata, "jobs")]).toEqual([args, [a]]);
  }),
);

test(
  "a wait takes numbers as text, words in any case, and a limit of zero as none given",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [a = "", b = ""] = await world.start("say 1", "hang");
    await world.reaches(a, "completed");
    await world.reaches(b, "running");
    for (const until of ["any ", "ANY", "1", 1, "1.0", 1.2]) {
      const { metadata } = await call("agents_wait", { until, timeout_seconds: 0 });
      expect([until, metadata.reason]).toEqual([until, "satisfied"]);
    }
    for (const timeout_seconds of ["30", " 30 ", "30s", "0.5 min", [30], "3e1"]) {
      const since = world.clock.now();
      const waiting = call("agents_wait", { jobs: [b], until: "ALL", timeout_seconds });
      let done = false;
      void waiting.finally(() => {
        done = true;
      });
      await world.clock.until("the wait is over", () => done);
      expect((await waiting).metadata.reason).toBe("timeout");
      expect([timeout_seconds, Math.round((world.clock.now() - since) / 1000)]).toEqual([timeout_seconds, 30]);
    }
  }),
);

const jobsOf = async (world: World, args: unknown) =>
  (await openTools(world).call("agents_start", args)).metadata.jobs as JobView[];

test(
  "tasks may come as JSON text, alone, or as the call's own arguments",
  inWorld(async (world) => {
    const task = { description: "one", prompt: "say 1" };
    const ways = [{ tasks: task }, { tasks: JSON.stringify([task]) }, { tasks: JSON.stringify(task) }, [task], task];
    const twice = JSON.stringify(JSON.stringify([task]));
    const more = [
      { tasks: twice },
      { tasks: [JSON.stringify(task)] },
      JSON.stringify({ tasks: [task] }),
      { tasks: { tasks: [task] } },
    ];
    for (const args of [...ways, ...more, { tasks: { 0: task } }, { task }]) {
      const jobs = await jobsOf(world, args);
      expect([args, jobs.map(({ description, state }) => [description, state])]).toEqual([args, [["one", "queued"]]]);
    }
  }),
);

test(
  "a task may be its prompt alone, and JSON may be fenced; broken JSON is nobody's prompt",
  inWorld(async (world) => {
    const task = { description: "one", prompt: "say 1" };
    const fence = (value: unknown) => `\`\`\`json\n${JSON.stringify(value)}\n\`\`\``;
    for (const args of [
      { tasks: fence([task]) },
      { tasks: fence(task) },
      { tasks: [fence(task)] },
      fence({ tasks: [task] }),
    ])
      expect([args, (await jobsOf(world, args)).map(({ description }) => description)]).toEqual([args, ["one"]]);
    for (const args of [{ tasks: ["say 1", "say 2"] }, { tasks: '["say 1", "say 2"]' }]) {
      const jobs = await jobsOf(world, args);
      expect(jobs.map(({ description, state }) => [description, state])).toEqual([
        ["say 1", "queued"],
        ["say 2", "queued"],
      ]);
    }
    for (const tasks of ['[{"description": "one", "prom', '{"prompt": "say', "```json\n[{"])
      expect([tasks, errorOf(await openTools(world).call("agents_start", { tasks }))?.code]).toEqual([
        tasks,
        "invalid_task",
      ]);
    expect((await jobsOf(world, { tasks: ['{"prompt": "say'] })).map(({ state }) => state)).toEqual(["failed"]);
  }),
);

test(
  "what a task leaves out may be null, empty or zero; its description is shortened, or taken from its prompt",
  inWorld(async (world) => {
    const nothing = { agent: "", model: null, environment: " ", gpu: "", from: "none", skills: [""] };
    const more = { timeout_minutes: 0, max_usd: "0" };
    const texts = { skills: "golf", timeout_minutes: "2h", max_usd: "$2.50", description: "d".repeat(5_000) };
    const jobs = await jobsOf(world, {
      tasks: [
        { description: "all", prompt: "say 1", ...nothing, ...more },
        { prompt: `say 2\n${"and more ".repeat(100)}`, ...texts },
        { description: "d".repeat(90), prompt: "say 3", skills: '["golf"]', subagent_type: "reviewer", from: "null" },
        { description: " \n", prompt: "say 4", model: "undefined", gpu: false, agent: "None" },
        { prompt: "say 5" },
      ],
    });
    expect(jobs.map(({ state, error }) => error?.message ?? state)).toEqual(jobs.map(() => "queued"));
    expect(jobs.map(({ description }) => description)).toEqual([
      "all",
      `${"d".repeat(79)}…`,
      `${"d".repeat(79)}…`,
      "say 4",
      "say 5",
    ]);
    const tasks = (await world.runtime.sessionJobs(ORCHESTRATOR)).all().map(({ task }) => task);
    expect(tasks[1]).toMatchObject({ skills: ["golf"], timeoutMinutes: 120, maxUsd: 2.5 });
    expect(tasks[2]).toMatchObject({ skills: ["golf"], agent: "reviewer", snapshotID: null });
    expect(tasks[0]).toMatchObject({ agent: "sandbox_worker", timeoutMinutes: null, maxUsd: null, skills: [] });
  }),
);

test(
  "tools about one job take it as a list of one, and a label that says nothing is none",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const [a = ""] = await world.start("say 1");
    await world.reaches(a, "completed");
    for (const label of ["", " ", null, "none", "NULL", "undefined", []]) {
      const { metadata } = await call("sandbox_snapshot", { job: [a], label, path: "" });
      expect([label, errorOf({ metadata } as never), metadata.label]).toEqual([label, undefined, undefined]);
    }
    expect((await call("sandbox_snapshot", { jobs: a, label: " best " })).metadata.label).toBe("best");
    const sent = await call("agents_message", { jobs: [a], message: "say 2", interrupt: "false", update: "" });
    expect(errorOf(sent)).toBeUndefined();
    const cancelled = await call("agents_cancel", { job: a, reason: "r".repeat(5_000) });
    expect((cancelled.metadata.jobs as JobView[])[0]?.error?.message).toBe(`${"r".repeat(499)}…`);
  }),
);

test(
  "a job's own tools take what is meant",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const { sessionID, jobID } = await openWorker(world);
    const inJob = (tool: string, args: unknown) => call(tool, args, sessionID);
    const texts: [unknown, string][] = [
      [{ path: "a.txt", content: 42 }, "42"],
      [{ file_path: "a.txt", content: "" }, ""],
      [{ path: "a.txt", content: { a: [1] } }, '{\n  "a": [\n    1\n  ]\n}\n'],
      [{ path: "a.txt", content: "null" }, "null"],
      [{ path: "a.txt", content: " \n" }, " \n"],
    ];
    for (const [args, content] of texts) {
      await inJob("sandbox_write", args);
      const { output } = await inJob("sandbox_read", { filePath: "a.txt", offset: "0", limit: null });
      const lines = content.replace(/\n$/, "").split("\n");
      expect([args, output]).toEqual([
        args,
        content === "" ? "(empty file)" : lines.map((line, index) => `${index + 1}\t${line}`).join("\n"),
      ]);
    }
    await inJob("sandbox_write", { path: "b.txt", content: "x x" });
    const edited = await inJob("sandbox_edit", {
      filePath: "b.txt",
      oldString: "x",
      newString: "",
      replaceAll: "true",
    });
    expect(edited.output).toContain("Replaced 2 times");
    const reported = await inJob("job_report", {
      status: "s".repeat(400),
      metrics: '{"loss": "2.5", "best": "nan", "worst": "-inf"}',
      step: "3",
    });
    expect(errorOf(reported)).toBeUndefined();
    expect(world.job(jobID).status).toBe(`${"s".repeat(299)}…`);
    expect(world.job(jobID).metrics).toMatchObject({
      loss: { value: 2.5, step: 3 },
      best: { value: "NaN" },
      worst: { value: "-Infinity" },
    });
    await inJob("job_report", { metrics: [{ name: "acc", value: 1 }], status: "" });
    expect(world.job(jobID).metrics.acc?.value).toBe(1);
    expect(world.job(jobID).status).toBe(`${"s".repeat(299)}…`);
  }),
);

describe("only what has one meaning is changed:", () => {
  const shape = {
    command: z.string(),
    input: z.string().optional(),
    mode: z.enum(["branch", "patch", "files"]).optional(),
    signal: z.enum(["SIGTERM", "SIGKILL"]).optional(),
    direction: z.enum(["min", "max"]).optional(),
    timeout_seconds: z.number().positive().max(100).default(50),
    step: z.number().optional(),
    rungs: z.array(z.number()).optional(),
    background: z.boolean().default(false),
    gpu: z.string().optional(),
    paths: z.array(z.string()).optional(),
    matrix: z.record(z.string(), z.array(z.union([z.string(), z.number()]))).optional(),
  };
  const combinations = [
    { LR: 1, SEED: 1 },
    { LR: 2, SEED: 2 },
  ];
  const cases: [given: Record<string, unknown>, meant: Record<string, unknown>][] = [
    [{ command: ["bash", "-lc", "ls 'a b'"] }, { command: `'bash' '-lc' 'ls '\\''a b'\\'''` }],
    [{ command: " null " }, { command: " null " }],
    [{ cmd: "ls", description: "Lists files" }, { command: "ls" }],
    [
      { command: "ls", constructor: 1 },
      { command: "ls", constructor: 1 },
    ],
    [{ input: "\n" }, { input: "\n" }],
    [{ input: "null" }, { input: "null" }],
    [{ input: "" }, {}],
    [
      { mode: "File", signal: "term" },
      { mode: "files", signal: "SIGTERM" },
    ],
    [
      { mode: "zip", signal: "SIG" },
      { mode: "zip", signal: "SIG" },
    ],
    [{ direction: "Minimize" }, { direction: "min" }],
    [{ direction: "up" }, { direction: "up" }],
    [{ timeout_seconds: "0", step: "0" }, { step: 0 }],
    [{ rungs: 100 }, { rungs: [100] }],
    [
      { timeout_seconds: "1,000", step: "1_000.5" },
      { timeout_seconds: 1000, step: 1000.5 },
    ],
    [{ timeout_seconds: "" }, {}],
    [{ timeoutSeconds: "5 minutes" }, { timeout_seconds: 300 }],
    [{ timeout_seconds: "5 km" }, { timeout_seconds: "5 km" }],
    [{ background: "True" }, { background: true }],
    [{ background: 0 }, { background: false }],
    [{ background: "later" }, { background: "later" }],
    [{ gpu: "none" }, { gpu: "none" }],
    [{ gpu: "null" }, {}],
    [{ paths: "a.txt, b/*.json\nc d" }, { paths: ["a.txt", "b/*.json", "c d"] }],
    [{ paths: '["a, b.txt"]' }, { paths: ["a, b.txt"] }],
    [{ paths: "runs/[1]/x" }, { paths: ["runs/[1]/x"] }],
    [{ matrix: [{ LR: [1, 2] }, { SEED: 3 }] }, { matrix: { LR: [1, 2], SEED: [3] } }],
    [{ matrix: [{ name: "LR", values: [1, 2] }] }, { matrix: { LR: [1, 2] } }],
    [{ matrix: { name: "LR", values: [1, 2] } }, { matrix: { LR: [1, 2] } }],
    [{ matrix: combinations }, { matrix: combinations }],
    [{ extra: "", other: null, third: 0 }, { third: 0 }],
  ];
  for (const [given, meant] of cases) {
    test(JSON.stringify(given), () => expect(readArguments(shape, given)).toEqual(meant));
  }
});

test("what models are told of the arguments is exactly the schema", () => {
  const { tools } = openTools({} as never);
  const schemas = tools.map(({ name, args }) => [name, z.toJSONSchema(z.object(args), { io: "input" })] as const);
  const start = Object.fromEntries(schemas).agents_start as {
    properties: { tasks: { items: { required: string[] } } };
  };
  expect(start.properties.tasks.items.required).toEqual(["description"]);
  expect(JSON.stringify(schemas)).not.toContain("{}");
});
