import { expect, test } from "bun:test";
import fc from "fast-check";
import { toCsv } from "../../../src/report/csv.ts";
import { renderPage } from "../../../src/report/html/page.ts";
import { toJson } from "../../../src/report/json.ts";
import { redact, withoutPaths } from "../../../src/report/redact.ts";
import { experimentOf } from "../../support/experiments.ts";
import { AT } from "../views/job-in.ts";
import { agent, run, sampleReport } from "./sample.ts";

const SECRET = "tangerine";

test("leaves nothing of prompts, commands, outputs, results, branches and paths in any form of a report", () => {
  const failure = { code: "command_failed", message: `log says ${SECRET}`, retryable: null } as const;
  const jobs = [
    agent({
      task: { ...agent().task, description: `Find the ${SECRET} in`, prompt: `Find the ${SECRET} in the file` },
      state: { kind: "completed", since: AT + 5_000, result: SECRET },
      status: SECRET,
      notes: [`left out /home/${SECRET}`],
      update: { at: AT, conflicts: [SECRET], problem: SECRET, commit: null } as never,
    }),
    run({
      task: {
        ...run().task,
        run: {
          ...run().task.run,
          command: `echo ${SECRET}`,
          params: { data: `/data/${SECRET}` },
          files: [SECRET],
          metrics: { loss: SECRET },
        } as never,
      },
      state: { kind: "failed", since: AT + 9_000, failure, result: SECRET },
    }),
    run({
      task: { ...run().task, run: { ...run().task.run, command: `train --key ${SECRET}` } as never },
      state: { kind: "running", since: AT + 9_000, leaseID: "lease" },
      status: SECRET,
    }),
  ];
  const kept = {
    ...experimentOf(0),
    command: SECRET,
    description: `try ~/${SECRET}/x`,
    params: { p: `C:\\${SECRET}\\x`, q: `../${SECRET}` },
    image: `/srv/${SECRET}`,
  };
  const report = redact(
    sampleReport({ jobs, experiments: [kept], recordedBranch: SECRET, problems: [`set aside as /state/${SECRET}.db`] }),
  );
  for (const text of [renderPage(report), toJson(report), toCsv(report).text]) expect(text).not.toContain(SECRET);
  expect(report.jobs.map(({ error, state }) => [state, error?.code])).toEqual([
    ["completed", undefined],
    ["failed", "command_failed"],
    ["running", undefined],
  ]);
  expect(renderPage(report)).toContain(
    "prompts, commands, outputs, results, error messages, notes, names of branches and paths are left out",
  );
});

test("keeps words, numbers and models, and takes out paths of every kind", () => {
  for (const text of ["wider, lr 0.1", "90 % of 3", "a - b", "H100:2", "try <b>"])
    expect(withoutPaths(text)).toBe(text);
  for (const path of [
    "/a",
    "/home/ada/x y",
    "~/x",
    "~ada/x",
    "./x",
    "../../x",
    "C:\\x",
    "c:/x",
    "\\\\host\\x",
    "src/a.ts",
    "file:///x",
    "a\\b\\c",
  ])
    expect(withoutPaths(`see ${path}`)).toStartWith("see [path]");
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{5,8}$/), { minLength: 1, maxLength: 4 }), (parts) => {
      for (const start of ["/", "~/", "./", "C:\\"]) expect(withoutPaths(start + parts.join("/"))).toBe("[path]");
    }),
  );
});
