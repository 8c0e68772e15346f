import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Job } from "../../../src/core/job.ts";
import { html } from "../../../src/report/html/html.ts";
import { renderPage } from "../../../src/report/html/page.ts";
import { toJson } from "../../../src/report/json.ts";
import { experimentOf } from "../../support/experiments.ts";
import { AT } from "../views/job-in.ts";
import { agent, campaign, entryOf, run, sampleReport } from "./sample.ts";

const HOSTILE = `</script></style></pre><script>alert(1)</script><img src=x onerror=alert(1)>"'\u202egnp.exe\u0000\u001b[31mred`;
const METRICS: Job["metrics"] = {
  [HOSTILE]: { value: 1, at: "", source: "output" },
  constructor: { value: "NaN", at: "", source: "reported" } as const,
};
const hidden = (text: string) => ["\u202e", "\u0000", "\u001b"].filter((one) => text.includes(one));
const withoutOurs = (page: string) =>
  page.replace(/<(script|style)>[\s\S]*?<\/\1>/, "").replace(/<script>[\s\S]*<\/script>/, "");

test("is a page of its own: it names no other place, and its policy allows what it holds alone", () => {
  const page = renderPage(sampleReport({ experiments: [experimentOf(0)] }));
  expect(page).toStartWith("<!doctype html>");
  expect(page.match(/(src|href|action|url)\s*[=(]\s*["']?(?!#)[^"'#>]/gi)).toBeNull();
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? "";
  for (const kind of ["style", "script"]) {
    const inside = new RegExp(`<${kind}>([\\s\\S]*?)</${kind}>`).exec(page)?.[1] ?? "";
    const hash = createHash("sha256").update(inside).digest("base64");
    expect(policy.replaceAll("&#39;", "'")).toContain(`${kind}-src 'sha256-${hash}'`);
  }
  expect(policy.replaceAll("&#39;", "'")).toStartWith("default-src 'none'; ");
  expect(page.match(/ (style|on[a-z]+)="/)).toBeNull();
});

test("shows whatever jobs wrote as text", () => {
  const job = run({
    task: { ...run().task, description: HOSTILE, environment: HOSTILE },
    state: {
      kind: "failed",
      since: AT + 9_000,
      failure: { code: "command_failed", message: HOSTILE, retryable: null },
      result: HOSTILE,
    },
    metrics: METRICS,
    notes: [HOSTILE],
    devices: [HOSTILE],
    status: HOSTILE,
  });
  const kept = {
    ...experimentOf(1),
    description: HOSTILE,
    params: { [HOSTILE]: HOSTILE, __proto__x: 1 },
    job: "job_r",
  };
  const points = [{ value: 1, step: 1, at: AT, source: "output" as const, report: 1 }];
  const page = renderPage(
    sampleReport({
      jobs: [agent({ task: { ...agent().task, prompt: HOSTILE } }), job],
      experiments: [kept],
      series: new Map([["job_r", new Map([[HOSTILE, { points, reports: 1, stride: 1 }]])]]),
      problems: [HOSTILE],
    }),
  );
  expect(withoutOurs(page)).not.toMatch(/<(script|img)/);
  expect(hidden(page)).toEqual([]);
  expect(page).toContain("&#60;img src=x onerror=alert(1)&#62;");
  expect(page.match(/<script>/g)).toHaveLength(1);
});

test("escapes every text, wherever it stands", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const { markup } = html`${text}`;
      expect(markup).not.toMatch(/[<>"']|&(?!#\d+;)/);
    }),
  );
});

test("never puts numbers of different sources into one ranking", () => {
  const page = renderPage(
    sampleReport({
      entries: [
        entryOf(experimentOf(0), { rank: 1, source: "clean" }),
        { ...entryOf(experimentOf(1), { source: "reported" }), standing: "final" },
      ],
    }),
  );
  const [ranked = "", others = ""] = page.split("Not ranked");
  expect([ranked.includes("reported</td>"), others.includes("reported</td>")]).toEqual([false, true]);
  expect(others).toStartWith(", and not to be read beside the numbers above, because their numbers are weaker");
  expect(page).toContain("numbers of different sources are not to be compared");
});

test("says of which measurements a mean is, and what became of the others", () => {
  const entry = entryOf(experimentOf(0), { rank: 1 });
  const page = (view: typeof entry.view) => renderPage(sampleReport({ entries: [{ ...entry, view }] }));
  expect(page({ ...entry.view, missing: { failed: 2 } })).toContain("1 of 3 (2 failed)</td>");
  expect(page({ ...entry.view, missing: { failed: 2 } })).toContain("might have been worse");
  expect(page(entry.view)).not.toContain("might have been worse");
});

test("cuts a result of four megabytes in its middle, says so, and has it whole in JSON", () => {
  const result = `begin ${"x".repeat(4 * 1024 * 1024)} end`;
  const report = sampleReport({ jobs: [agent({ state: { kind: "completed", since: AT + 9_000, result } })] });
  const page = renderPage(report);
  expect(page.length).toBeLessThan(100_000);
  expect(page).toContain(`${result.length} characters, of which the middle is in --json only.`);
  expect(page).toMatch(/<pre>begin x[\s\S]* end<\/pre>/);
  expect(JSON.parse(toJson(report)).jobs[0].result).toBe(result);
});

test("holds a thousand experiments in its own 150 KiB and their data, within a few seconds", () => {
  const report = sampleReport(campaign(1_000));
  const page = renderPage(report);
  const data = toJson(report).length;
  expect(renderPage(sampleReport()).length).toBeLessThan(40 * 1024);
  expect(page.length).toBeLessThan(150 * 1024 + data);
  expect(page).toContain("1000 experiments");
});

test("keeps invisible characters of jobs as escapes in JSON", () => {
  const report = sampleReport({ jobs: [agent({ state: { kind: "completed", since: AT, result: HOSTILE } })] });
  expect(hidden(toJson(report))).toEqual([]);
  expect(JSON.parse(toJson(report)).jobs[0].result).toBe(HOSTILE);
});

test("says what is needed to repeat an experiment, and what is not known", () => {
  const base = {
    head: "1".repeat(40),
    tree: "2".repeat(40),
    commit: "c",
    nested: [],
    withheld: [],
    emptyFolders: [],
    notes: [],
    project: "/p",
  };
  const job = run({
    base,
    gpu: "H100:2",
    devices: ["NVIDIA H200"],
    task: { ...run().task, gpu: "H100:2|A100:2", snapshotID: "snap_0" },
  });
  const kept = { ...experimentOf(0), job: "job_r", image: "python:3.12", recipe: "abc", seed: "7", snapshot: "snap_9" };
  const page = renderPage(sampleReport({ jobs: [job], experiments: [kept], recordedBranch: "agents/job_r" }));
  const facts = /<details class="row" id="job_r">[\s\S]*?<\/details>/.exec(page)?.[0] ?? "";
  for (const fact of [
    "python train.py --data /home/ada/data",
    "LR=0.1",
    "1".repeat(40),
    "2".repeat(40),
    "python:3.12",
    "abc",
    "H100:2|A100:2",
    "H100:2, NVIDIA H200",
    "<dd>7</dd>",
    "snap_0",
    "snap_9",
    "agents/job_r",
  ])
    expect(facts).toContain(fact);
  expect(page).toContain("<dt>From start to first model reply</dt><dd>not known</dd>");
});

test("draws a gap where a metric was not finite, and a dot where it was finite once", () => {
  const values = [1, 2, "NaN", 3, "Infinity", 4, 5, "NaN"] as const;
  const points = values.map((value, step) => ({ value, step, at: AT, source: "output" as const, report: step + 1 }));
  const page = renderPage(
    sampleReport({
      jobs: [run()],
      series: new Map([["job_r", new Map([["loss", { points, reports: 8, stride: 1 }]])]]),
    }),
  );
  const [path = ""] = /(?<=<path class="line s0" d=")[^"]+/.exec(page) ?? [];
  expect([path.split("M").length - 1, path.split("L").length - 1]).toEqual([2, 2]);
  expect(page.match(/<circle class="s0"/g)?.length).toBe(1);
});
