import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { boardJobs, planBoard } from "../../../src/core/board.ts";
import type { Job } from "../../../src/core/job.ts";
import { countsOf, inTime, renderBoard, renderGoOn } from "../../../src/prompt/job-board.ts";
import { toMarkdown } from "../../../src/prompt/quoted-text.ts";
import { viewRecords } from "../../../src/views/job-view.ts";
import { RUN, STOP } from "../jobs/notify/runs-support.ts";
import { AT, jobIn } from "../views/job-in.ts";
import { withoutCode } from "./without-code.ts";

let count = 0;
function job(kind: Job["state"]["kind"], description = "d", more: Partial<Job> = {}): Job {
  const failure = { code: "stalled" as const, message: "no answer\nfor 5 min", retryable: null };
  const state = {
    kind,
    ...(kind === "failed" && { failure }),
    ...(kind === "completed" && { result: "r" }),
    reason: null,
  };
  const plain = jobIn(state as never, { id: `job_${++count}`, modelUsd: 0, ...more });
  return { ...plain, task: { ...plain.task, ...more.task, description } };
}
const run = (kind: Job["state"]["kind"], loss: number | null, call: string, description = "sweep"): Job => {
  const origin = { sessionID: "ses_o", messageID: "m", callID: call };
  const metrics = loss === null ? {} : { loss: { value: loss, at: "", source: "output" as const } };
  const one = job(kind, description, { origin, metrics });
  return { ...one, task: { ...one.task, run: { ...RUN, stop: STOP, params: { LR: loss ?? 0 } } } };
};
const many = (n: number, make: (n: number) => Job): Job[] => Array.from({ length: n }, (_, index) => make(index));

function board(jobs: readonly Job[]): string[] {
  const plan = planBoard(jobs);
  return renderBoard(plan, viewRecords(boardJobs(plan)), jobs, AT + 120_000).split("\n");
}

describe("a board", () => {
  test("says when it was right while it goes on changing: a killed process leaves it", () => {
    const jobs = [job("running", "goes on", { startedAt: AT })];
    const plan = planBoard(jobs);
    const live = renderBoard(plan, viewRecords(boardJobs(plan)), jobs, AT + 120_000, true);
    expect(live).toMatch(/^1 running · at \d\d:\d\d:00\n/);
    expect(board(jobs)[0]).toBe("1 running");
  });

  test("lists jobs by urgency: at work, failed with their error, queued ones on one line, done with numbers, cost and time", () => {
    const metrics = { loss: { value: 2.5, step: 10, at: "", source: "reported" as const } };
    const jobs = [
      job("completed", "done", { metrics, startedAt: AT, modelUsd: 1.25, status: "all went well" }),
      job("queued"),
      job("failed", "broken", { startedAt: AT, status: "training goes well" }),
      job("queued"),
      job("running", "busy", { status: "phase 2", startedAt: AT + 56_400 }),
      job("cancelled", "dropped"),
    ];
    expect(board(jobs)).toEqual([
      "1 running, 1 failed, 2 queued, 1 completed, 1 cancelled · $1.25",
      "",
      '- ● **busy** running · "phase 2" · 4 s',
      "- ✗ **broken** failed · stalled: no answer ⏎ for 5 min · 1 min",
      "- · 2 queued",
      "- ✓ **done** completed · loss 2.5 @10 · 1 min · $1.25",
      "- ⊘ **dropped** cancelled",
    ]);
  });

  test("has one line for the runs of a call, with the best value, and shows a job that waits alone by its name", () => {
    const runs = [
      run("completed", 3, "c1"),
      run("completed", 0.5, "c1"),
      run("running", 1, "c1"),
      run("failed", null, "c1"),
    ];
    expect(board([...runs, job("queued", "alone")])).toEqual([
      "1 running, 1 failed, 1 queued, 2 completed",
      "",
      "- ● **sweep** 4 runs: 1 running, 1 failed, 2 completed · best so far loss 0.5 (LR=0.5) · last failure stalled: no answer for 5 min",
      "- · **alone** queued",
    ]);
  });

  test("of many jobs has at most 16 lines and counts the rest, and failed ones keep their place beside those at work", () => {
    const jobs = [
      ...many(40, () => job("running", "r")),
      ...many(9, (n) => job("failed", `f${n}`)),
      ...many(7, () => job("queued")),
    ];
    const lines = board(jobs).slice(2);
    expect(lines).toHaveLength(16);
    expect(lines.filter((line) => line.startsWith("- ●"))).toHaveLength(8);
    expect(lines.filter((line) => line.startsWith("- ✗")).map((line) => /f\d/.exec(line)?.[0])).toEqual([
      "f3",
      "f4",
      "f5",
      "f6",
      "f7",
      "f8",
    ]);
    expect(lines.at(-2)).toBe("- · 7 queued");
    expect(lines.at(-1)).toBe("- and 35 more: 32 running, 3 failed");
  });

  test("shows what jobs are called and say as text: no link, no image, no second line", () => {
    const hostile = job("failed", "[x](http://y) ![i](http://z)\n- ● **fake** running");
    const failure = { code: "stalled" as const, message: "**bold**\n# head <b>", retryable: null };
    const lines = board([{ ...hostile, state: { kind: "failed", since: AT, failure } }]);
    expect(lines).toHaveLength(3);
    expect(withoutCode(lines[2] ?? "")).toBe("- ✗ ** - ●  running** failed · stalled:  ⏎ # head ");
  });

  test.each([
    ["lr 0.1, val_loss (best)", "lr 0.1, val_loss (best)"],
    ["print(torch.__version__) twice", "`print(torch.__version__)` twice"],
    ["File '<string>' of _private", "File `'<string>'` of `_private`"],
    ["betas [0.9, 0.95]", "betas `[0.9, 0.95]`"],
    ["see https://example.org/x", "see `https://example.org/x`"],
    ["a ``b`` c", "a ``` ``b`` ``` c"],
    ["`x`", "`` `x` ``"],
  ])("shows %s as it is, as code where Markdown would change it", (fact, shown) => {
    expect(toMarkdown(fact)).toBe(shown);
  });

  test("accounts for every job once, whatever there is", () => {
    const kinds = ["running", "starting", "interrupted", "queued", "failed", "completed", "cancelled"] as const;
    const any = fc.array(fc.tuple(fc.constantFrom(...kinds), fc.constantFrom(null, "a", "b", "c")), { maxLength: 120 });
    fc.assert(
      fc.property(any, (given) => {
        const jobs = given.map(([kind, call]) => (call === null ? job(kind) : run(kind, 1, call)));
        const { rows, left } = planBoard(jobs);
        const shown = rows.flatMap((row) =>
          row.kind === "job" ? [row.job] : row.kind === "runs" ? row.group.runs : row.jobs,
        );
        expect([...shown, ...left].map(({ id }) => id).sort()).toEqual(jobs.map(({ id }) => id).sort());
        expect(rows.length + Math.min(1, left.length)).toBeLessThanOrEqual(16);
        if (left.length === 0) expect(rows.length).toBeGreaterThan(jobs.length > 0 ? 0 : -1);
      }),
    );
  });
});

test("counts begin with what is most urgent, and times are read at a glance", () => {
  expect(countsOf([job("completed"), job("failed"), job("running")])).toBe("1 running, 1 failed, 1 completed");
  expect([0.4, 59, 60, 125, 3_600, 7_800].map(inTime)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "2 min 5 s",
    "1 h",
    "2 h 10 min",
  ]);
});

test("a user who stops a turn is told of the jobs that go on, and of none where all have ended", () => {
  expect(renderGoOn([job("running"), job("queued"), job("failed"), job("interrupted")])).toStartWith(
    "2 jobs go on. Ask",
  );
  expect(renderGoOn([job("starting")])).toStartWith("1 job goes on. Ask");
  expect(renderGoOn([job("completed")])).toBeNull();
});

test("jobs that were just started have a line each, although they wait", () => {
  const jobs = many(3, (n) => job("queued", `s${n}`));
  expect(planBoard(jobs, null, true).rows.map((row) => row.kind)).toEqual(["job", "job", "job"]);
  const large = planBoard(
    many(30, () => job("queued")),
    null,
    true,
  );
  expect([large.rows.length < 16, large.left.length > 0]).toEqual([true, true]);
});
