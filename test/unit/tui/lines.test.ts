import { describe, expect, test } from "bun:test";
import { aliveLine, jobLine } from "../../../src/tui/bottom-line.ts";
import { promptCounter } from "../../../src/tui/counter.ts";
import { ageOf, dollars, metricsOf } from "../../../src/tui/format.ts";
import { homeLine } from "../../../src/tui/home-line.ts";
import { leaveText } from "../../../src/tui/leave-question.ts";
import { textOf, widthOf } from "../../../src/tui/text.ts";
import { iso, START, sampleJob, sampleView } from "../../support/sample-lab.ts";

const NOW = START + 60_000;
const spent = (usd: number) => ({ usd, modelUsd: usd, computeUsd: 0, budgetUsd: null, usdPerHour: 0 });
const mixed = sampleView(
  "s",
  [
    sampleJob("a"),
    sampleJob("b", { state: "starting" }),
    sampleJob("c", { state: "queued" }),
    sampleJob("d", { state: "failed" }),
  ],
  { spend: spent(1.84) },
);

test.each([
  [0, "0s"],
  [59_999, "59s"],
  [60_000, "1m"],
  [3_900_000, "1h05"],
  [3 * 86_400_000, "3d"],
  [-5, "0s"],
])("%d ms are %s", (ms, text) => expect(ageOf(ms)).toBe(text));

test("numbers have the digits that answers and reports give them", () => {
  const m = (value: number) => ({ value, at: "", source: "output" }) as const;
  const job = sampleJob("a", { metrics: { tokens: m(12345678), acc: m(0.99999998), loss: { ...m(1 / 3), step: 5 } } });
  expect(metricsOf(job, 3)).toBe("tokens 12345678 · acc 0.99999998 · loss 0.333333@5");
});

test("small amounts are not rounded to nothing", () => {
  expect([0, 0.0001, 0.005, 1.839].map(dollars)).toEqual(["", "$0.0001", "$0.005", "$1.84"]);
});

describe("the counter at the prompt", () => {
  test("names what is under way and what is wrong", () => expect(textOf(promptCounter(mixed))).toBe("2▶ 1… 1✗ $1.84"));
  test("is empty without jobs", () => expect(promptCounter(null)).toEqual([]));
  test("counts what is done when nothing else is left", () => {
    const done = sampleView("s", [sampleJob("a", { state: "completed" })], { spend: spent(0) });
    expect(textOf(promptCounter(done))).toBe("1✓");
  });
});

describe("the line below everything", () => {
  const job = sampleJob("job_1", { description: "train it", status: "step 4", startedAt: iso(10) });
  test("says of a job's conversation which job it is, what it runs and the keys", () => {
    expect(textOf(jobLine(job, "$ python train.py", 118, NOW))).toBe(
      `● train it · $ python train.py · 50s · job_1${" ".repeat(37)}o orchestrator · m message · x cancel`,
    );
    const narrow = jobLine(job, "", 78, NOW);
    expect(textOf(narrow)).toStartWith("● train it · step 4 · 50s ");
    expect(textOf(narrow)).toEndWith(" o up · m message · x cancel");
    expect(widthOf(narrow)).toBe(78);
  });
  test("keeps the keys beside a long description, and says why a job failed", () => {
    const failed = sampleJob("j", {
      state: "failed",
      description: "x".repeat(100),
      error: { code: "stalled", message: "no answer", retryable: null },
    });
    expect(textOf(jobLine(failed, "", 78, NOW))).toMatch(/^✗ x+… o up · m message · x cancel$/);
    expect(textOf(jobLine({ ...failed, description: "short" }, "", 118, NOW))).toContain("stalled: no answer");
  });
  test("elsewhere names the sessions whose jobs are alive, the one on the screen first and without its title", () => {
    const other = sampleView("o", [sampleJob("z")], { spend: spent(0) });
    const titles = (id: string) => (id === "o" ? "the other\none" : undefined);
    expect(textOf(aliveLine([other, mixed], "s", titles, 118))).toBe(
      'Jobs 2▶ 1… 1✗ $1.84 · Jobs in "the other one" 1▶',
    );
    expect(aliveLine([], "s", titles, 118)).toEqual([]);
  });
});

describe("before OpenCode is left", () => {
  test("it is said how many jobs would stop", () => {
    expect(leaveText([mixed])).toStartWith(
      "There are 2 jobs at work and 1 job in the queue. Without OpenCode they stop;",
    );
    expect(leaveText([sampleView("s", [sampleJob("a")])])).toStartWith("There is 1 job at work. ");
  });
  test("nothing is asked where nothing would stop", () => {
    expect(leaveText([])).toBeNull();
    expect(leaveText([sampleView("s", [sampleJob("a", { state: "completed" })])])).toBeNull();
  });
});

test("the home screen names the newest session with interrupted jobs, also where a kill left them unrecorded", () => {
  const view = sampleView("s", [sampleJob("a", { state: "interrupted" }), sampleJob("b")], { isLive: false });
  expect(textOf(homeLine([view, view], () => "fix it", 75))).toBe(
    '‖ 2 jobs were interrupted in "fix it" and in 1 more: write there to go on',
  );
  expect(homeLine([], () => undefined, 75)).toEqual([]);
});
