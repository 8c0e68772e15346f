import { expect, test } from "bun:test";
import fc from "fast-check";
import { detailLines } from "../../../../src/tui/full-view/detail-lines.ts";
import { doingAfter, doingIn, NOTHING_DONE } from "../../../../src/tui/full-view/doing.ts";
import { entriesOf } from "../../../../src/tui/full-view/entries.ts";
import { entryRow } from "../../../../src/tui/full-view/entry-row.ts";
import { sparkline } from "../../../../src/tui/full-view/sparkline.ts";
import { lastRows, wrapText } from "../../../../src/tui/full-view/wrap.ts";
import { columnsOf, type Line, textOf, widthOf } from "../../../../src/tui/text.ts";
import { AT, anyJobs, anyText, jobView, number } from "./sample-jobs.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
const HOSTILE = /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

function expectFits(line: Line, columns: number) {
  expect(widthOf(line)).toBeLessThanOrEqual(columns);
  expect(textOf(line)).not.toMatch(HOSTILE);
}

const series = (values: readonly number[]) => ({
  points: values.map((value, at) => ({
    value: (Number.isFinite(value) ? value : String(value)) as number,
    step: at,
    at: AT,
    source: "output" as const,
    report: at + 1,
  })),
  reports: values.length,
  stride: 1,
});

test("every row of the list and of the detail fits its columns, cleaned, whatever jobs are called and say", () => {
  fc.assert(
    fc.property(
      anyJobs,
      fc.integer({ min: 24, max: 160 }),
      fc.constantFrom("urgency" as const, "tree" as const, "rank" as const),
      anyText,
      (jobs, columns, order, text) => {
        const metric = order === "rank" ? "loss" : null;
        const asking = new Set(["job_1"]);
        const listing = { order, metric, direction: null, show: "all", filter: "", isQueueOpen: false } as const;
        for (const entry of entriesOf(jobs, { ...listing, folded: new Set(["job_0"]), asking }))
          expectFits(entryRow(entry, entry.key === "job_0", { columns, metric, asking }, AT), columns);
        for (const job of jobs) {
          const doing = { command: text, output: text };
          const all = new Map([["loss", series([1, 2, Number.NaN, 4])]]);
          const facts = { columns, task: text, doing, series: all, parent: text, children: 2 };
          for (const line of detailLines(job, facts, AT)) expectFits(line, columns);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a row says what a job is, what it does or waits for, and what it took", () => {
  const facts = { columns: 60, metric: null, asking: new Set<string>() };
  const job = jobView("j1", {
    description: "train",
    status: "epoch 3",
    startedAt: new Date(AT - 60_000).toISOString(),
    usd: { model: 0.5, compute: 0.25 },
  });
  const [, entry] = entriesOf([job], {
    order: "urgency",
    metric: null,
    direction: null,
    show: "all",
    filter: "",
    isQueueOpen: false,
    folded: new Set(),
    asking: new Set(),
  });
  if (!entry) throw new Error("no row");
  expect(textOf(entryRow(entry, true, facts, AT))).toBe(`› ● train epoch 3${" ".repeat(60 - 17 - 10)}1m · $0.75`);
  expect(textOf(entryRow(entry, false, { ...facts, asking: new Set(["j1"]) }, AT))).toContain("waits for your answer");
});

test("the detail leads with what went wrong, and shows numbers with their curve, the output, the task and the result", () => {
  const job = jobView("j1", {
    state: "failed",
    endedAt: new Date(AT).toISOString(),
    error: { code: "job_timed_out", message: "took too long", retryable: false },
    metrics: { loss: number(0.25, 7) },
    result: "half\nof it",
    notes: ["left out: a.bin"],
    parent: "j0",
  });
  const facts = {
    columns: 70,
    task: "make it fast",
    doing: NOTHING_DONE,
    series: new Map([["loss", series([8, 7, 6, 5, 4, 3, 2, 1])]]),
    parent: "baseline",
    children: 1,
  };
  const text = detailLines(job, facts, AT).map(textOf).join("\n");
  expect(text.indexOf("job_timed_out: took too long")).toBeLessThan(text.indexOf("Metrics"));
  expect(text).toContain("loss 0.25 @7 █▇▆▅▄▃▂▁ 8 reports output");
  for (const part of ["Result\nhalf\nof it", "Prompt\nmake it fast", "• left out: a.bin", 'forked from j0 "baseline"'])
    expect(text).toContain(part);
  const running = detailLines(
    jobView("j2"),
    { ...facts, doing: { command: "$ pytest", output: "1 passed\n2 passed" } },
    AT,
  );
  expect(running.map(textOf).join("\n")).toContain("Now\n$ pytest\n1 passed\n2 passed");
});

test("a curve has at most its columns, and stands for any numbers", () => {
  fc.assert(
    fc.property(fc.array(fc.double(), { maxLength: 60 }), fc.integer({ min: 0, max: 30 }), (values, columns) => {
      expect(columnsOf(sparkline(series(values), columns))).toBeLessThanOrEqual(columns);
      expect(sparkline(series(values), columns)).toMatch(/^[▁▂▃▄▅▆▇█×]*$/);
    }),
  );
  expect(sparkline(series([0, 1, 2, 3]), 2)).toBe("▁█");
  expect(sparkline(series([5, 5, 5]), 3)).toBe("▅▅▅");
});

test("text is wrapped to its columns without losing any of it until there is too much, which it says", () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 2, max: 40 }), fc.integer({ min: 1, max: 9 }), (text, columns, most) => {
      const rows = wrapText(text.repeat(5), columns, most);
      expect(rows.length).toBeLessThanOrEqual(most);
      for (const row of [...rows, ...lastRows(text, columns, most)]) {
        expect(columnsOf(row)).toBeLessThanOrEqual(columns);
        expect(row).not.toMatch(HOSTILE);
      }
    }),
  );
  expect(wrapText("one two three\n\nfour", 8, 9)).toEqual(["one two", "three", "", "four"]);
  expect(wrapText("abcdefghij", 4, 9)).toEqual(["abcd", "efgh", "ij"]);
  expect(wrapText("a\nb\nc", 30, 2)).toEqual(["a", "… more than fits here"]);
  expect(wrapText(" \n\x1b[0m", 30, 2)).toEqual([]);
  expect(lastRows("a\nb\nc\n", 30, 2)).toEqual(["b", "c"]);
});

test("a conversation's newest parts say what it runs, with the output below it", () => {
  const run = (status: string, more = {}) => ({
    type: "tool",
    tool: "sandbox_exec",
    state: { status, input: { command: "pytest" }, ...more },
  });
  const running = doingIn([run("running"), { type: "text", text: "3 passed" }]);
  expect(running).toEqual({ command: "$ pytest", output: "3 passed" });
  expect(doingAfter(running, run("running"))).toBe(running);
  expect(doingAfter(running, run("completed", { output: "9 passed" }))).toEqual({ command: "", output: "9 passed" });
  expect(doingAfter(running, { type: "step-start" })).toBe(running);
  expect(
    doingIn([{ type: "tool", tool: "agents_wait", state: { status: "running", input: { command: 3 } } }]).command,
  ).toBe("agents_wait");
});
