import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectOf } from "../../../src/cli/cli-lab.ts";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { runCommandLine } from "../../../src/cli/run-command-line.ts";
import { openPoolStore } from "../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { openLedgerWorld } from "../../unit/jobs/project/ledger-support.ts";

let [root, project, stateDir, out] = ["", "", "", ""];
const before = process.cwd();
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], {
    cwd: project,
    stdio: "pipe",
  }).toString();

/** A project with a session whose state was written as a process writes it, and a branch that is merged. */
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "report-"));
  [project, stateDir, out] = ["project", "state", "out"].map((name) => join(root, name)) as [string, string, string];
  for (const folder of [project, join(stateDir, "sessions"), out]) mkdirSync(folder, { recursive: true });
  git("init", "-q", "-b", "main");
  git("commit", "-q", "--allow-empty", "-m", "first");
  git("checkout", "-q", "-b", "agents/job_1");
  git("commit", "-q", "--allow-empty", "-m", "by a job");
  git("checkout", "-q", "main");
  git("merge", "-q", "--no-ff", "-m", "merged", "agents/job_1");
  process.chdir(project);
  const id = await projectOf(process.cwd(), { sessions: () => [] });
  const world = openLedgerWorld({ stateDir });
  world.projects.set("ses_first", id).set("ses_other", id);
  const jobs = [
    world.add({ description: "baseline", params: { LR: 1, SEED: 1 }, metrics: { loss: 2, acc: 0.5 } }, "ses_first"),
    world.add({ description: "baseline", params: { LR: 1, SEED: 2 }, metrics: { loss: 2.1, acc: 0.4 } }, "ses_first"),
    world.add(
      { description: "=wide", params: { LR: 2 }, metrics: { loss: 1 }, parent: "job_1", snapshotID: "s" },
      "ses_first",
    ),
    world.add({ description: "talks", command: null, metrics: { loss: 0.1 } }, "ses_first"),
  ];
  world.add({ description: "elsewhere", params: { LR: 3 }, metrics: { loss: 3 } }, "ses_other");
  await world.ledger.open("ses_first");
  await world.end(false);
  const pool = await openPoolStore(stateDir);
  for (const session of ["ses_first", "ses_other"]) pool.saveProject(session, id);
  pool.close();
  const store = await openSessionStore(sessionFile(stateDir, "ses_first"));
  store.insert(jobs.map((job) => ({ job, turn: null })));
  store.close();
});
afterAll(() => {
  process.chdir(before);
  rmSync(root, { recursive: true, force: true });
});

async function report(...args: string[]) {
  const [printed, told]: [string[], string[]] = [[], []];
  const code = await runCommandLine(["report", "--state-dir", stateDir, ...args], COMMANDS, {
    write: (text) => void printed.push(text),
    writeError: (text) => void told.push(text),
  });
  return { code, out: printed.join(""), err: told.join("") };
}

test("writes the page about the newest session of this project, here, and again in its own place", async () => {
  for (let time = 0; time < 2; time++) {
    const { code, out: said } = await report();
    const path = join(process.cwd(), "parallel-agents-report-ses_first.html");
    expect([code, said]).toEqual([0, expect.stringContaining(`Wrote ${path} (`)]);
    const page = readFileSync(path, "utf8");
    expect([page.includes("baseline"), page.includes("elsewhere"), statSync(path).mode & 0o077]).toEqual([
      true,
      true,
      0,
    ]);
  }
  expect(readdirSync(project).sort()).toEqual([".git", "parallel-agents-report-ses_first.html"]);
});

test("replaces no file but a report, follows no link, and puts a report into a folder that is named", async () => {
  const precious = join(out, "thesis.html");
  writeFileSync(precious, "<!doctype html>my thesis");
  symlinkSync(precious, join(out, "link.html"));
  for (const name of ["thesis.html", "link.html", "no/such/folder.html"]) {
    const { code, err } = await report("--out", join(out, name));
    expect([code, err]).toEqual([1, expect.stringContaining(`Could not write the report to ${join(out, name)}`)]);
  }
  expect(readFileSync(precious, "utf8")).toBe("<!doctype html>my thesis");
  for (const form of ["--json", "--csv"])
    for (let time = 0; time < 2; time++) expect((await report(form, "--out", out)).code).toBe(0);
  expect(readdirSync(out).sort()).toEqual([
    "link.html",
    ...["csv", "json"].map((form) => `parallel-agents-report-ses_first.${form}`),
    "thesis.html",
  ]);
});

test("prints everything as JSON: leaderboards by source, recipes, and what git says of branches", async () => {
  const whole = JSON.parse((await report("ses_f", "--json")).out);
  expect(whole.session).toBe("ses_first");
  const [loss] = whole.leaderboards.filter(({ metric }: { metric: string }) => metric === "loss");
  expect(
    loss.entries.map(({ label, mean, n, source, rank }: Record<string, unknown>) => [label, mean, n, source, rank]),
  ).toEqual([
    ["=wide", 1, 1, "output", 1],
    ["baseline", 2.05, 2, "output", 2],
    ["elsewhere", 3, 1, "output", 3],
    ["talks", 0.1, 1, "reported", undefined],
  ]);
  expect(loss.entries[3].unranked).toStartWith("their numbers are weaker");
  expect(whole.recipes.map(({ job, isOfSession }: Record<string, unknown>) => [job, isOfSession])).toEqual([
    ...[1, 2, 3, 4].map((n) => [`job_${n}`, true]),
    ["job_5", false],
  ]);
  expect(whole.recipes[3].prompt).toBe("the secret prompt");
  expect(whole.usage.branches).toEqual({ collected: 1, merged: 1, gone: 0 });
});

test("prints the experiments as CSV, says which cells it changed, and redacts", async () => {
  const { code, out: text, err } = await report("--csv");
  const lines = text.split("\r\n");
  expect([code, lines[0], err]).toEqual([
    0,
    "id,description,metric,mean,deviation,n,source,verdict,parent,usd,gpu_seconds,rank,standing,missing,param.LR",
    expect.stringContaining("1 cell that a spreadsheet would take for a formula"),
  ]);
  expect(lines.filter((line) => line.includes(",loss,"))).toHaveLength(4);
  expect(lines.find((line) => line.includes("wide"))).toMatch(/^exp_\w+,'=wide,loss,1,,1,output,\w*,job_1,/);
  expect((await report("--json", "--redact")).out).not.toMatch(/secret prompt|train\.py|agents\/job_1/);
});

test("says what it wrote: jobs of the session, or in a table experiments of the project and their rows", async () => {
  const said = async (form: string) => (await report(form, "--out", out)).err;
  expect(await said("--csv")).toContain("KiB): 4 experiments of the project, in 5 rows.");
  expect(await said("--json")).toContain("KiB): 4 jobs of ses_first.");
});

test("marks CSV in a file as UTF-8, for Excel, and none on standard output", async () => {
  const path = join(out, "marked.csv");
  for (let time = 0; time < 2; time++) expect((await report("--csv", "--out", path)).code).toBe(0);
  expect(readFileSync(path).subarray(0, 5).toString("hex")).toBe(`efbbbf${Buffer.from("id").toString("hex")}`);
  expect((await report("--csv")).out).toStartWith("id,");
  expect((await report("--csv", "--out", "-")).out).toStartWith("id,");
});

test("lists the sessions where none is called so, and refuses two forms at once", async () => {
  const unknown = await report("ses_nobody");
  expect([unknown.code, unknown.err]).toEqual([
    1,
    expect.stringMatching(/"ses_nobody"\. There are, the newest first:\n {2}ses_first .* 4 jobs\n$/),
  ]);
  expect(JSON.parse((await report("../pool", "--json")).out).error.code).toBe("not_found");
  expect((await report("--json", "--csv")).code).toBe(2);
  writeFileSync(join(root, "file"), "");
  for (const [place, why] of [
    ["file", "ENOTDIR"],
    ["nowhere", "ENOENT"],
  ] as const)
    expect((await report("--state-dir", join(root, place))).err).toMatch(
      new RegExp(`^config_invalid: Could not read the sessions in the state directory ${join(root, place)}: ${why}`),
    );
  process.chdir(root);
  expect((await report()).err).toStartWith("not_found: No session of this project has started jobs. There are");
  mkdirSync(join(root, "deleted"));
  process.chdir(join(root, "deleted"));
  rmSync(join(root, "deleted"), { recursive: true });
  expect((await report()).err).toStartWith("not_found: No session of this project has started jobs. There are");
  expect(JSON.parse((await report("ses_first", "--json")).out).session).toBe("ses_first");
  process.chdir(project);
});
