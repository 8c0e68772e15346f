import { expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JobSeries, type SeriesRecord } from "../../../src/core/series.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { type Entry, serveTrackio, useTracker } from "./export-support.ts";

const tracker = useTracker();

test("sends the experiments to Trackio once, by source, and later only what is new", async () => {
  const { entries } = serveTrackio(tracker, "t0k");
  expect(await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`)).toMatchObject({
    code: 0,
    out: `Sent 4 new values of 2 of the project's 2 experiments to ${tracker.url}.\n`,
  });
  expect([...entries.values()].map(({ run_id, metrics, step }) => [run_id, metrics, step])).toEqual([
    ["job_1", { "output/loss": 2 }, 0],
    ["job_1", { "output/odd!": "NaN" }, 0],
    ["job_1", { "clean/loss": 2.5 }, 3],
    ["job_2", { "reported/loss": "Infinity" }, 0],
  ]);
  expect(JSON.stringify([...entries.values()])).not.toMatch(/secret prompt|train\.py/);
  const { length } = tracker.calls;
  expect((await tracker.report("--trackio", `${tracker.url}?write_token=t0k`, "--json")).out).toContain('"values": 0');
  expect(tracker.calls.length).toBe(length);
  rmSync(join(tracker.stateDir, "exports"), { recursive: true });
  expect((await tracker.report(`--trackio=${tracker.url}/?write_token=t0k`)).code).toBe(0);
  expect(entries.size).toBe(4);
});

test("says how many of the values that a job reported are kept, where these are not all", async () => {
  const { entries } = serveTrackio(tracker, "t0k");
  const series = new JobSeries();
  for (let step = 1; step <= 10_000; step++)
    series.add({ name: "loss", value: 1 / step, step, at: step, source: "output" });
  const record = series.record("loss") as SeriesRecord;
  const store = await openSessionStore(sessionFile(tracker.stateDir, "ses_1"));
  store.saveSeries("job_1", new Map([["loss", record]]));
  store.close();
  const kept = record.points.length;
  const { out } = await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`);
  expect(out).toEndWith(
    `. Of 10000 values that were reported over steps, ${kept} are kept and can be sent: at most 256 of each metric of a job.\n`,
  );
  expect([...entries.values()].filter(({ metrics }) => "output/loss" in metrics)).toHaveLength(kept);
  const { out: json } = await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`, "--json");
  expect(JSON.parse(json)).toMatchObject({ values: 0, reported: 10_000, kept });
});

test("claims nothing of what a Trackio server that was not asked has, and sends it everything when told to", async () => {
  const { entries } = serveTrackio(tracker, "t0k");
  const address = `${tracker.url}/?write_token=t0k`;
  await tracker.report("--trackio", address);
  const all = [...entries];
  entries.clear();
  expect((await tracker.report("--trackio", address)).out).toBe(
    `Sent nothing to ${tracker.url}: nothing is new since the last export. If it has lost what it was sent, --again sends all of it once more.\n`,
  );
  expect((await tracker.report("--trackio", address, "--again")).out).toStartWith("Sent 4 new values of 2 of");
  expect([...entries]).toEqual(all);
  expect(await tracker.report("--again")).toMatchObject({ code: 2, err: expect.stringContaining('"--again" is of') });
});

test("tells Trackio the state of a run, again once that has changed, and counts those without values apart", async () => {
  const { entries, configs } = serveTrackio(tracker, "t0k");
  const address = `${tracker.url}/?write_token=t0k`;
  const known = { description: "at work", metrics: { loss: 4 } };
  const failure = { code: "command_failed", message: "exit code 1", retryable: false } as const;
  tracker.world.add({ description: "breaks", state: { kind: "failed", since: 5, failure } });
  const job = tracker.world.add({ ...known, state: { kind: "running", since: 5, leaseID: "l" } });
  await tracker.world.ledger.open("ses_1");
  expect((await tracker.report("--trackio", address)).out).toBe(
    `Sent 5 new values of 3 of the project's 4 experiments to ${tracker.url}. Not sent: 1 without values, which it has no place for.\n`,
  );
  expect(configs.get(job.id)).toMatchObject({ "opencode.state": "running" });
  tracker.world.add({ ...known, id: job.id });
  await tracker.world.ledger.open("ses_1");
  expect((await tracker.report("--trackio", address)).out).toStartWith("Sent 0 new values of 1 of");
  expect(configs.get(job.id)).toMatchObject({ "opencode.state": "completed" });
  expect(entries.size).toBe(5);
  expect((await tracker.report("--trackio", address)).out).toContain("nothing is new");
});

test("says what was sent and what not, names no token, and sends the rest the next time", async () => {
  const { entries, failAfter } = serveTrackio(tracker, "t0k");
  failAfter(1);
  const failed = await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`);
  expect([failed.code, failed.err]).toEqual([
    1,
    expect.stringMatching(/500: .*the disk is full.*Sent were 1 of 2, with 3 new values; not sent are job_2/s),
  ]);
  expect(failed.err).not.toContain("t0k");
  failAfter(9);
  expect((await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`)).out).toStartWith(
    "Sent 1 new values of 1 of the project's 2 experiments",
  );
  expect([entries.size, readdirSync(join(tracker.stateDir, "exports")).length]).toEqual([4, 1]);
  expect((await tracker.report("--trackio", `${tracker.url}/?write_token=wrong`)).code).toBe(0); // it has everything already
  for (const [option, path] of [
    ["--trackio", "POST http://127.0.0.1:1/api/bulk_log"],
    ["--mlflow", "GET http://127.0.0.1:1/api/2.0/mlflow/experiments/get-by-name?"],
  ] as const) {
    for (const address of ["http://127.0.0.1:1", "http://ada:pa55@127.0.0.1:1/?write_token=t0k"]) {
      const { err } = await tracker.report(option, address);
      expect(err).toContain(`Could not send all experiments to http://127.0.0.1:1: ${path}`);
      expect(err).toContain("got no answer");
      expect(err).not.toMatch(/pa55|t0k/);
    }
  }
  expect((await tracker.report("--trackio", tracker.url, "--csv")).code).toBe(2);
});

test("says where the address that is none comes from, and what one looks like, without secrets in it", async () => {
  const sayings = async (...args: string[]) => (await tracker.report(...args)).err.split("\n")[0];
  const wrong = "which is no address of a server: that begins with http:// or https://, as";
  const usual = `"--mlflow http://127.0.0.1:5000" does.`;
  expect(await tracker.report("--mlflow", "127.0.0.1:5001")).toMatchObject({ code: 2 });
  for (const address of ["127.0.0.1:5001", "localhost:5001"])
    expect(await sayings("--mlflow", address)).toBe(
      `"--mlflow" is "${address}", ${wrong} "--mlflow http://${address}" does.`,
    );
  for (const address of ["./mlruns", "sqlite:///mlflow.db"])
    expect(await sayings("--mlflow", address)).toBe(`"--mlflow" is "${address}", ${wrong} ${usual}`);
  const before = process.env.MLFLOW_TRACKING_URI;
  try {
    for (const [address, shown] of [
      ["databricks", "databricks"],
      ["postgresql://ada:pa55@host/db?token=t0k", "postgresql://host/db"],
    ] as const) {
      process.env.MLFLOW_TRACKING_URI = address;
      expect(await sayings("--mlflow")).toBe(`"MLFLOW_TRACKING_URI" is "${shown}", ${wrong} ${usual}`);
    }
  } finally {
    if (before === undefined) delete process.env.MLFLOW_TRACKING_URI;
    else process.env.MLFLOW_TRACKING_URI = before;
  }
  expect(tracker.calls).toEqual([]);
});

const bodies = {
  page: "<!doctype html><style>b{}</style><h1>Log in</h1><script>x()</script>",
  huge: "x".repeat(9 * 1024 * 1024),
};

test.each([
  ["a page of a proxy", 502, bodies.page, /was answered 502: Log in/],
  ["a page instead of an answer", 200, bodies.page, /no such server: Log in/],
  ["no object", 200, "null", /no such server: null/],
  ["an answer without end", 200, bodies.huge, /got no answer: .*longer than 8 MiB|got no answer/],
  ["another server's answer", 200, "{}", /may be no such server|without an id/],
  ["an error in an answer", 200, '{"error":"read only"}', /read only|without an id/],
  ["a value that is too large alone", 413, "too large", /was answered 413: too large/],
  ["a connection that is cut", null, "", /got no answer/],
])("is answered with %s, and says so; nothing counts as sent", async (_, status, body, words) => {
  tracker.raw = (response) => (status === null ? void response.destroy() : void response.writeHead(status).end(body));
  for (const option of ["--trackio", "--mlflow"]) {
    const { code, err } = await tracker.report(option, tracker.url);
    expect([code, err]).toEqual([1, expect.stringMatching(words)]);
    expect(err).toContain("Sent were 0 of 2, with 0 new values");
    expect(err).not.toMatch(/<|x{400}/);
  }
  tracker.raw = null;
  const { entries } = serveTrackio(tracker, "t0k");
  await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`);
  expect(entries.size).toBe(4);
});

test("a part that is refused for its size is halved, and nothing is sent twice", async () => {
  const { entries } = serveTrackio(tracker, "t0k");
  const whole = tracker.answer;
  const sizes: number[] = [];
  tracker.answer = (call, body, request) => {
    const { logs } = body.kwargs as { logs: Entry[] };
    sizes.push(logs.length);
    return logs.length > 1 ? [413, {}] : whole(call, body, request);
  };
  expect((await tracker.report("--trackio", `${tracker.url}/?write_token=t0k`)).out).toStartWith("Sent 4 new values");
  expect([entries.size, sizes]).toEqual([4, [3, 2, 1, 1, 1, 1]]);
});

test("sends nothing where it cannot be kept what was sent", async () => {
  serveTrackio(tracker, "t0k");
  writeFileSync(join(tracker.stateDir, "exports"), "not a folder");
  const { code, err } = await tracker.report("--trackio", tracker.url);
  expect([code, err]).toEqual([1, expect.stringContaining(`Could not keep in ${tracker.stateDir}`)]);
  expect(tracker.calls).toEqual([]);
});

test("where it cannot be read which project the session is of, nothing passes for a project without experiments", async () => {
  const pool = join(tracker.stateDir, "pool.db");
  for (const suffix of ["-wal", "-shm"]) rmSync(pool + suffix, { force: true });
  writeFileSync(pool, "no database ".repeat(1_000));
  const table = join(tracker.stateDir, "table.csv");
  for (const args of [
    ["--mlflow", tracker.url],
    ["--csv", "--out", table],
  ]) {
    const { code, out, err } = await tracker.report(...args);
    expect([code, out, err]).toEqual([1, "", expect.stringContaining(`${pool} is damaged and cannot be read`)]);
  }
  expect([existsSync(table), tracker.calls]).toEqual([false, []]);
  // The other forms have a place for it.
  expect(JSON.parse((await tracker.report("--json")).out).problems).toContainEqual(
    expect.stringContaining("The project's experiments could not be read"),
  );
});
