import { expect, test } from "bun:test";
import { expandMatrix, type Matrix } from "../../../src/core/matrix.ts";
import { describeRuns, runsOfCall } from "../../../src/core/run-descriptions.ts";
import { labelOf } from "../../../src/core/run-groups.ts";
import { paramsApart, tellingFirst } from "../../../src/core/told-apart.ts";
import { withLedger } from "../jobs/project/ledger-support.ts";

const SEVEN: Matrix = {
  LEARNING_RATE: [0.0003],
  BATCH_SIZE: [32],
  GRADIENT_CLIPPING: [1],
  SCHEDULER_NAME: ["cosine"],
  WARMUP_STEPS: [100, 200],
  NUMBER_OF_LAYERS: [12],
  WEIGHT_DECAY: [1, 2],
};
const LONG = "Answer the question below as well as you can, in one sentence of plain English";
const describeAll = (tasks: { description: string; matrix: Matrix }[]) => {
  const call = runsOfCall(tasks);
  return tasks.flatMap(({ description, matrix }) => {
    const all = expandMatrix(tellingFirst(matrix, call.apart));
    return describeRuns(description, all, call).map((text, index) => ({ text, params: all[index] ?? {} }));
  });
};

test("descriptions of runs have what tells them apart, however many values they have in common", () => {
  const names = ["pretrain small transformer on wikitext", "pretrain small transformer on c4"];
  const runs = describeAll(names.map((description) => ({ description, matrix: SEVEN })));
  expect(runs.map(({ text }) => text.replace(/, .*/, ""))[0]).toBe(`${names[0]} (WARMUP_STEPS=100`);
  expect(new Set(runs.map(({ text }) => text)).size).toBe(8);
  for (const { text } of runs) expect([...text].length).toBeLessThanOrEqual(80);
  const labels = runs.map(({ text, params }) => labelOf({ task: { description: text, run: { params } } } as never));
  expect([...new Set(labels)]).toEqual(names);
});

test("common values follow where there is room, and a task's one combination tells it from the other tasks", () => {
  const tasks = [0.1, 0.2].map((LR) => ({ description: "train", matrix: { DEPTH: [4], LR: [LR] } }));
  expect(describeAll(tasks).map(({ text }) => text)).toEqual(["train (LR=0.1, DEPTH=4)", "train (LR=0.2, DEPTH=4)"]);
  expect(describeAll([{ description: "train", matrix: { LR: [0.1] } }]).map(({ text }) => text)).toEqual([
    "train (LR=0.1)",
  ]);
});

test("long values are shortened around the place where they differ, and white space is seen", () => {
  const matrix = { PROMPT: [`${LONG}. Be brief.`, `${LONG}. Be kind.`, "No."], SEPARATOR: [" ", "\t", ""] };
  const texts = describeAll([{ description: "ask", matrix }]).map(({ text }) => text);
  expect(new Set(texts).size).toBe(9);
  expect(texts[0]).toMatch(/^ask \(PROMPT=Answer.*….*brief\., SEPARATOR=" "\)$/);
  expect(texts[8]).toBe('ask (PROMPT=No., SEPARATOR="")');
  const apart = paramsApart([`${LONG} a`, `${LONG} b`].map((PROMPT) => ({ PROMPT })));
  expect(apart.describe({ PROMPT: `${LONG} b` }, 40)).toEndWith(" b");
});

test(
  "the list of experiments says once what all have in common, and in each row what tells it apart",
  withLedger(async (world) => {
    const call = expandMatrix(SEVEN);
    for (const [n, params] of call.entries())
      world.add({ metrics: { loss: n }, params: { ...params, PROMPT: `${LONG} ${n}` }, description: "pretrain" });
    const { text } = await world.list();
    const rows = text.split("\n").filter((line) => line.startsWith("| ") && line.includes('"pretrain"'));
    const cells = rows.map((row) => row.slice(row.indexOf('"pretrain"')));
    expect(cells[0]).toMatch(/^"pretrain" WARMUP_STEPS=100 WEIGHT_DECAY=1 PROMPT=Answer .* 0 \|$/);
    expect(new Set(cells).size).toBe(4);
    expect(text).toContain("All of these have LEARNING_RATE=0.0003, BATCH_SIZE=32, ");
  }),
);
