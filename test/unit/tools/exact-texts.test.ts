import { describe, expect, test } from "bun:test";
import { readArguments } from "../../../src/tools/read-arguments.ts";
import type { Tool } from "../../../src/tools/tool.ts";
import { openTools } from "./tool-host.ts";

/* Texts that programs get or print: white space at their ends and quotes around them mean something. */

const { tools } = openTools({} as never);
const read = (name: string, given: object): unknown =>
  readArguments((tools.find((tool) => tool.name === name) as Tool).args, given);
const EXACT = ['"quoted"', " lead", "trail\n", " ", "", ",", "\t", "null", "[1, 2]", "1e-3", "007"];

test("the values of a matrix are those that were given", () => {
  const task = { description: "d", command: "run", matrix: { V: EXACT, W: [1, 0.5, true, "2"] } };
  expect(read("agents_start", { tasks: [task] })).toEqual({
    tasks: [{ ...task, matrix: { V: EXACT, W: [1, 0.5, "true", "2"] } }],
  });
});

describe("a value of a matrix that is given without a list", () => {
  const cases: [given: unknown, meant: unknown][] = [
    ["[1, 2]", [1, 2]],
    ['["a", " b "]', ["a", " b "]],
    ["0.5", [0.5]],
    ["1e-3", ["1e-3"]],
    ['"quoted"', ['"quoted"']],
    [" lead", [" lead"]],
    ["", [""]],
    ["null", ["null"]],
    ["true", ["true"]],
    ["a, b", "a, b"],
    [
      [[0.9], [0.99]],
      [[0.9], [0.99]],
    ],
  ];
  for (const [given, meant] of cases)
    test(JSON.stringify(given), () =>
      expect(read("agents_start", { tasks: [{ command: "run", matrix: { V: given } }] })).toEqual({
        tasks: [{ command: "run", matrix: { V: meant } }],
      }),
    );
});

test("the texts that metrics follow, and the names of files, are those that were given", () => {
  const task = { command: "run", metrics: { loss: ' "loss"', acc: '"acc"' }, files: [" a.txt", '"b".txt'] };
  expect(read("agents_start", { tasks: [task] })).toEqual({ tasks: [task] });
  const benchmark = { command: " eval", metrics: { f1: "F1 " }, protect: [" p"], artifacts: ['"a"'] };
  expect(read("experiments_score", { jobs: ["job_1"], benchmark })).toEqual({ jobs: ["job_1"], benchmark });
  expect(read("agents_collect", { job: "job_1", paths: [" a "] })).toEqual({ job: "job_1", paths: [" a "] });
  expect(read("sandbox_exec", { command: "ls ", workdir: "a " })).toEqual({ command: "ls ", workdir: "a " });
});

test("the direction of a benchmark may be written out", () => {
  const { benchmark } = read("experiments_score", {
    jobs: ["job_1"],
    benchmark: { command: "eval", direction: "maximize" },
  }) as { benchmark: unknown };
  expect(benchmark).toEqual({ command: "eval", direction: "max" });
});

test("a command is taken out of a fence around the whole of it, and out of no other", () => {
  const command = "cat <<'EOF' > a.py\nprint(1)\nEOF\npython3 a.py";
  for (const fence of ["```bash", "```", "\n```sh "])
    expect(read("sandbox_exec", { command: `${fence}\n${command}\n\`\`\`\n` })).toEqual({ command });
  for (const other of ["```python\nprint(1)\n```", "```sh\na\n```\n```sh\nb\n```", "echo '```'\ncat <<X\n```\nX"])
    expect(read("sandbox_exec", { command: other })).toEqual({ command: other });
});
