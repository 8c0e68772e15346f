import { expect, test } from "bun:test";
import { parseJson, whyNoJson } from "../../../src/tools/loose-json.ts";
import { inWorld, ORCHESTRATOR } from "../jobs/runtime-world.ts";
import { errorOf, openTools } from "./tool-host.ts";

test("JSON is read as models write it", () => {
  for (const [text, value] of [
    ['{"a":1}', { a: 1 }],
    ['"[1]"', [1]],
    ["```json\n[1]\n```", [1]],
    ['[{"prompt":"one\ntwo\tthree"},]', [{ prompt: "one\ntwo\tthree" }]],
    ['{"a":[1,2,],"b":", ]",}', { a: [1, 2], b: ", ]" }],
    ['{"a":"say \\"hi\\",\n]"}', { a: 'say "hi",\n]' }],
    ['"one"', "one"],
  ] as const)
    expect(parseJson(text)).toEqual(value);
});

test("what is no JSON is not read, and of a list or an object is said why", () => {
  for (const text of ["one", "", "[1", "[{'prompt': 'x', 'gpu': None}]", '{"a":1}{"b":2}', "1 2"])
    expect(parseJson(text)).toBeUndefined();
  expect(whyNoJson("[{'prompt': 'x'}]")).toContain("Single quotes");
  expect(whyNoJson("say [1")).toBeNull();
});

test(
  "tasks are found in whatever wraps them",
  inWorld(async (world) => {
    const { call } = openTools(world);
    const task = { description: "one", prompt: "say 1" };
    for (const args of [
      { tasks: `[{"description":"one","prompt":"say 1\nand 2"},]` },
      { tasks: { item: [task] } },
      { tasks: { task } },
      { arguments: { tasks: [task] } },
      { input: JSON.stringify({ tasks: [task] }) },
    ]) {
      const { metadata } = await call("agents_start", args);
      expect([args, (metadata.jobs as { description: string }[]).map(({ description }) => description)]).toEqual([
        args,
        ["one"],
      ]);
    }
    const broken = await call("agents_start", { tasks: "[{'prompt': 'x', 'gpu': None}]" });
    expect(errorOf(broken)?.message).toMatch(
      /tasks: .*expected a list.* \(a text that is not valid JSON: .*Single quotes.*give the value itself, not as text\)/,
    );
  }),
);

test(
  "GPUs and times are read in the forms that people write",
  inWorld(async (world) => {
    const { call } = openTools(world);
    for (const gpu of ["8xH100", "8 x H100", { type: "H100", count: 8 }, "H100:8"]) {
      const { metadata } = await call("agents_start", { tasks: [{ description: "g", prompt: "say 1", gpu }] });
      expect([gpu, JSON.stringify(metadata.jobs)]).toEqual([gpu, expect.stringContaining("H100:8")]);
    }
    const run = {
      description: "r",
      command: "true",
      timeout_minutes: "1h30m",
      stop: { metric: "loss", direction: "min", rungs: "10, 20" },
    };
    const { metadata } = await call("agents_start", { tasks: [run] });
    const [job] = metadata.jobs as { id: string; state: string }[];
    const { task } = (await world.runtime.sessionJobs(ORCHESTRATOR)).get(job?.id ?? "") ?? {};
    expect([task?.timeoutMinutes, task?.run?.stop?.rungs]).toEqual([90, [10, 20]]);
  }),
);
