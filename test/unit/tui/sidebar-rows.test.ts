import { expect, test } from "bun:test";
import fc from "fast-check";
import { SIDEBAR_COLUMNS, sidebarRows } from "../../../src/tui/sidebar-rows.ts";
import { textOf, widthOf } from "../../../src/tui/text.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import type { LabView } from "../../../src/views/lab-view.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { iso, START, sampleJob, sampleView } from "../../support/sample-lab.ts";

const NOW = START + 60_000;
const textsOf = (view: LabView) => sidebarRows(view).map(({ line }) => textOf(line(NOW)));
const many = (count: number, state: JobView["state"], more: Partial<JobView> = {}) =>
  Array.from({ length: count }, (_, at) => sampleJob(`${state}-${at}`, { state, ...more }));
const none = {
  pool: { running: 0, queued: 0, maxRunning: 8, gpus: {} },
  spend: { usd: 0, modelUsd: 0, computeUsd: 0, budgetUsd: null, usdPerHour: 0 },
};
const error = { code: "command_failed", message: "exit code 3 ⏎ oh no", retryable: false } as const;

test("jobs are listed by urgency: what runs, what waits as one line, what failed with its error, what is done", () => {
  const view = sampleView("s", [
    sampleJob("a", { state: "completed", endedAt: iso(30) }),
    sampleJob("b", { state: "failed", status: "step 3 of 9", error, endedAt: iso(20) }),
    ...many(9, "queued", { reason: "waiting for a GPU" }),
    sampleJob("c", {
      status: "step 400",
      metrics: { loss: { value: 2.25, step: 400, at: iso(0), source: "output" } },
    }),
    sampleJob("d", { reason: "its sandbox has not answered for 9 s", startedAt: iso(58) }),
    sampleJob("e", { state: "cancelled", endedAt: iso(40) }),
  ]);
  expect(textsOf(view)).toEqual([
    "Jobs 2▶ 9… 1✗         $2.00 of $25.00",
    "H100 1/4 · $4.00/h",
    "● job d                            2s",
    "  its sandbox has not answered for 9…",
    "● job c                           55s",
    "  step 400 · loss 2.25@400",
    "· 9 wait: waiting for a GPU",
    "✗ job b                           15s",
    "  command_failed: exit code 3 ⏎ oh no",
    "⊘ job e                           35s",
    "✓ job a                           25s",
  ]);
});

test("a ceiling is named once something is spent", () => {
  const spend = { usd: 0, modelUsd: 0, computeUsd: 0, budgetUsd: 25, usdPerHour: 0 };
  const view = sampleView("s", [sampleJob("a")], { ...none, spend });
  expect(textsOf(view)[0]).toBe("Jobs 1▶");
  expect(textsOf({ ...view, spend: { ...spend, usd: 0.001 } })[0]).toBe("Jobs 1▶              $0.001 of $25.00");
});

test("a row that opens a job knows which", () => {
  const rows = sidebarRows(sampleView("s", [sampleJob("a"), sampleJob("b", { state: "queued" })], none));
  expect(rows.map(({ job }) => job?.id ?? null)).toEqual([null, "a", null]);
});

test("hundreds of jobs take a few rows, and those left out are counted", () => {
  const view = sampleView(
    "s",
    [
      ...many(300, "running"),
      ...many(2_000, "queued"),
      ...many(80, "failed", { error }),
      ...many(70, "completed"),
      ...many(5, "cancelled"),
    ],
    none,
  );
  const texts = textsOf(view);
  expect(texts.length).toBeLessThan(30);
  for (const text of [
    "● 294 more run",
    "· 2000 wait",
    "✗ 77 more failed",
    "✓ 70 more are done",
    "⊘ 2 more were cancelled",
  ])
    expect(texts).toContain(text);
});

test("interrupted jobs say how they go on, and what is not kept is said", () => {
  const view = sampleView("s", many(2, "interrupted"), {
    ...none,
    isLive: false,
    problems: ["The file of a session cannot be read."],
  });
  expect(textsOf(view)).toEqual([
    "Jobs 2‖",
    "‖ 2 interrupted",
    "  write anything here and they go on",
    "! The file of a session cannot be re…",
  ]);
});

test("no text of a job makes a row wider than the sidebar, or leaves it", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("\x1b[31m\n\t日本語日本語日本語日本語日本語日本語", "\u202eabc"),
  );
  fc.assert(
    fc.property(
      hostile,
      fc.constantFrom(...(["running", "starting", "queued", "failed", "completed", "interrupted"] as const)),
      (text, state) => {
        const job = sampleJob("a", {
          state,
          description: text,
          status: text,
          reason: text,
          metrics: Object.fromEntries([[text, { value: text, at: iso(0), source: "reported" }]]) as JobView["metrics"],
          error: { ...error, message: text },
        });
        for (const { line } of sidebarRows(sampleView("s", [job], { problems: [text] }))) {
          expect(widthOf(line(NOW))).toBeLessThanOrEqual(SIDEBAR_COLUMNS);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
          expect(textOf(line(NOW))).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
        }
      },
    ),
    { numRuns: propertyRuns(60) },
  );
});

test("what a job says is cut before its number is, and queued jobs of a killed process are no mere queue", () => {
  const metrics = { loss: { value: 2.31, at: iso(0), source: "output" as const } };
  const busy = sampleView("s", [sampleJob("a", { status: "epoch 3 of 10, warm-up done, lr 1e-4", metrics })], none);
  expect(textsOf(busy)[2]).toBe("  epoch 3 of 10, warm-up… · loss 2.31");
  const left = sampleView("s", many(2, "queued"), { ...none, isLive: false });
  expect(textsOf(left).slice(1)).toEqual(["· 2 wait", "  write anything here and they go on"]);
});
