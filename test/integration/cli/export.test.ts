import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { runCommandLine } from "../../../src/cli/run-command-line.ts";
import type { Job } from "../../../src/core/job.ts";
import { openPoolStore } from "../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { openLedgerWorld } from "../../unit/jobs/project/ledger-support.ts";

let stateDir = "";
let server: Server;
let url = "";
let answer: (call: string, body: Record<string, unknown>, request: IncomingMessage) => readonly [number, unknown];
let calls: string[] = [];
let raw: ((response: ServerResponse) => void) | null = null;
const state = { world: null as ReturnType<typeof openLedgerWorld> | null };

beforeAll(() => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      if (raw) return raw(response);
      const path = (request.url ?? "").split("?")[0];
      const call = `${request.method} ${path}`;
      calls.push(call);
      const [status, body] = answer(call, JSON.parse(Buffer.concat(chunks).toString() || "{}"), request);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  return new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      resolve();
    });
  });
});
afterAll(() => void server.close());

beforeEach(async () => {
  calls = [];
  stateDir = mkdtempSync(join(tmpdir(), "export-"));
  mkdirSync(join(stateDir, "sessions"));
  const world = openLedgerWorld({ stateDir });
  state.world = world;
  world.projects.set("ses_1", "project_1");
  await keep(
    world.add({ description: "baseline", params: { LR: 1, "a b?": "x" }, metrics: { loss: 2, "odd!": "NaN" } }),
  );
  await keep(world.add({ description: "talks", command: null, metrics: { loss: "Infinity" } }));
  world.add({ measures: { jobID: "job_1", seed: 3 }, metrics: { loss: 2.5 }, source: "clean" });
  await world.ledger.open("ses_1");
  const pool = await openPoolStore(stateDir);
  pool.saveProject("ses_1", "project_1");
  pool.close();
});
afterEach(() => state.world?.end());

async function keep(job: Job): Promise<void> {
  const store = await openSessionStore(sessionFile(stateDir, "ses_1"));
  store.insert([{ job, turn: null }]);
  store.close();
}

async function report(...args: string[]) {
  const [printed, told]: [string[], string[]] = [[], []];
  const code = await runCommandLine(["report", "ses_1", "--state-dir", stateDir, ...args], COMMANDS, {
    write: (text) => void printed.push(text),
    writeError: (text) => void told.push(text),
  });
  return { code, out: printed.join(""), err: told.join("") };
}

type Entry = Record<string, unknown> & { log_id: string; metrics: Record<string, unknown> };

/** As Trackio's own: one call, its token, entries with known fields alone, doubles known by their id. */
function trackio(token: string) {
  const entries = new Map<string, Entry>();
  let failing = Number.POSITIVE_INFINITY;
  answer = (call, body, request) => {
    if (call !== "POST /api/bulk_log") return [404, { error: `Unknown API: ${call}` }];
    if (request.headers["x-trackio-write-token"] !== token) return [400, { error: "A write_token is required" }];
    if (--failing < 0) return [500, { error: "the disk is full" }];
    const { logs, hf_token } = body.kwargs as { logs: Entry[]; hf_token: null };
    if (hf_token !== null) return [500, { error: "hf_token" }];
    for (const entry of logs) {
      const unknown = Object.keys(entry).filter(
        (key) => !/^(project|run|run_id|metrics|step|config|log_id)$/.test(key),
      );
      if (unknown.length > 0 || !Number.isInteger(entry.step)) return [500, { error: `bad entry ${unknown}` }];
      if (!entries.has(entry.log_id)) entries.set(entry.log_id, entry);
    }
    return [200, { data: null }];
  };
  return { entries, failAfter: (n: number) => (failing = n) };
}

test("sends the experiments to Trackio once, by source, and later only what is new", async () => {
  const { entries } = trackio("t0k");
  expect(await report("--trackio", `${url}/?write_token=t0k`)).toMatchObject({
    code: 0,
    out: `Sent 4 new values of 2 experiments to ${url}, which now has all 2 experiments of the project.\n`,
  });
  expect([...entries.values()].map(({ run_id, metrics, step }) => [run_id, metrics, step])).toEqual([
    ["job_1", { "output/loss": 2 }, 0],
    ["job_1", { "output/odd!": "NaN" }, 0],
    ["job_1", { "clean/loss": 2.5 }, 3],
    ["job_2", { "reported/loss": "Infinity" }, 0],
  ]);
  expect(JSON.stringify([...entries.values()])).not.toMatch(/secret prompt|train\.py/);
  const { length } = calls;
  expect((await report("--trackio", `${url}?write_token=t0k`, "--json")).out).toContain('"values": 0');
  expect(calls.length).toBe(length);
  rmSync(join(stateDir, "exports"), { recursive: true });
  expect((await report(`--trackio=${url}/?write_token=t0k`)).code).toBe(0);
  expect(entries.size).toBe(4);
});

test("says what was sent and what not, names no token, and sends the rest the next time", async () => {
  const { entries, failAfter } = trackio("t0k");
  failAfter(1);
  const failed = await report("--trackio", `${url}/?write_token=t0k`);
  expect([failed.code, failed.err]).toEqual([
    1,
    expect.stringMatching(/500: .*the disk is full.*Sent were 1 of 2, with 3 new values; not sent are job_2/s),
  ]);
  expect(failed.err).not.toContain("t0k");
  failAfter(9);
  expect((await report("--trackio", `${url}/?write_token=t0k`)).out).toStartWith("Sent 1 new values of 1 experiments");
  expect([entries.size, readdirSync(join(stateDir, "exports")).length]).toEqual([4, 1]);
  expect((await report("--trackio", `${url}/?write_token=wrong`)).code).toBe(0); // it has everything already
  expect((await report("--trackio", "http://127.0.0.1:1")).err).toContain("got no answer");
  expect((await report("--trackio", "ftp://x")).code).toBe(2);
  expect((await report("--trackio", url, "--csv")).code).toBe(2);
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
  raw = (response) => (status === null ? void response.destroy() : void response.writeHead(status).end(body));
  for (const tracker of ["--trackio", "--mlflow"]) {
    const { code, err } = await report(tracker, url);
    expect([code, err]).toEqual([1, expect.stringMatching(words)]);
    expect(err).toContain("Sent were 0 of 2, with 0 new values");
    expect(err).not.toMatch(/<|x{400}/);
  }
  raw = null;
  const { entries } = trackio("t0k");
  await report("--trackio", `${url}/?write_token=t0k`);
  expect(entries.size).toBe(4);
});

test("a part that is refused for its size is halved, and nothing is sent twice", async () => {
  const { entries } = trackio("t0k");
  const whole = answer;
  const sizes: number[] = [];
  answer = (call, body, request) => {
    const { logs } = body.kwargs as { logs: Entry[] };
    sizes.push(logs.length);
    return logs.length > 1 ? [413, {}] : whole(call, body, request);
  };
  expect((await report("--trackio", `${url}/?write_token=t0k`)).out).toStartWith("Sent 4 new values");
  expect([entries.size, sizes]).toEqual([4, [3, 2, 1, 1, 1, 1]]);
});

test("sends nothing where it cannot be kept what was sent", async () => {
  trackio("t0k");
  writeFileSync(join(stateDir, "exports"), "not a folder");
  const { code, err } = await report("--trackio", url);
  expect([code, err]).toEqual([1, expect.stringContaining(`Could not keep in ${stateDir}`)]);
  expect(calls).toEqual([]);
});

/** As MLflow's own: the paths, fields and limits of its REST API. */
function mlflow() {
  const made = {
    experiment: "",
    runs: new Map<
      string,
      { tags: Record<string, string>; params: unknown[]; metrics: Record<string, unknown>[]; update?: unknown }
    >(),
  };
  const NAME = /^[\w\-. :/]{1,250}$/;
  answer = (call, body) => {
    const run = made.runs.get(String(body.run_id));
    switch (call.replace("/api/2.0/mlflow/", "")) {
      case "GET experiments/get-by-name":
        return made.experiment === ""
          ? [404, { error_code: "RESOURCE_DOES_NOT_EXIST" }]
          : [200, { experiment: { experiment_id: "7" } }];
      case "POST experiments/create":
        made.experiment = String(body.name);
        return [200, { experiment_id: "7" }];
      case "POST runs/search": {
        const [, job] = /^tags\.`opencode\.job` = '(\w+)'$/.exec(String(body.filter)) ?? [];
        const found = [...made.runs].find(([, { tags }]) => tags["opencode.job"] === job);
        return [200, found ? { runs: [{ info: { run_id: found[0] } }] } : {}];
      }
      case "POST runs/create": {
        const id = `run${made.runs.size + 1}`;
        const tags = Object.fromEntries(
          (body.tags as { key: string; value: string }[]).map(({ key, value }) => [key, value]),
        );
        made.runs.set(id, { tags, params: [], metrics: [] });
        return body.experiment_id === "7" ? [200, { run: { info: { run_id: id } } }] : [400, {}];
      }
      case "POST runs/log-batch": {
        const [metrics, params] = [body.metrics, body.params] as [Record<string, unknown>[], Record<string, unknown>[]];
        if (!run || [...metrics, ...params].some(({ key }) => !NAME.test(String(key)))) return [400, { error_code: "INVALID_PARAMETER_VALUE" }]; // biome-ignore format: one line
        if (metrics.some(({ value, timestamp, step }) => value === null || !Number.isInteger(timestamp) || !Number.isInteger(step))) return [400, {}]; // biome-ignore format: one line
        run.metrics.push(...metrics);
        run.params.push(...params);
        for (const { key, value } of body.tags as { key: string; value: string }[]) run.tags[key] = value;
        return [200, {}];
      }
      case "POST runs/update":
        if (!run) return [404, {}];
        run.update = body.status;
        return [200, {}];
      default:
        return [404, { error_code: "ENDPOINT_NOT_FOUND" }];
    }
  };
  return made;
}

test("sends the experiments to MLflow once, with names that it takes, and finds runs that it was not told of as made", async () => {
  const made = mlflow();
  expect((await report("--mlflow", url)).out).toStartWith("Sent 4 new values of 2 experiments");
  expect(
    [...made.runs.values()].map(({ params, metrics, update }) => [
      params,
      metrics.map(({ key, value }) => [key, value]),
      update,
    ]),
  ).toEqual([
    [
      [
        { key: "LR", value: "1" },
        { key: expect.stringMatching(/^a b__\w{8}$/), value: "x" },
      ],
      [
        ["output/loss", 2],
        [expect.stringMatching(/^output\/odd__\w{8}$/), "NaN"],
        ["clean/loss", 2.5],
      ],
      "FINISHED",
    ],
    [[], [["reported/loss", "Infinity"]], "FINISHED"],
  ]);
  expect(made.experiment).not.toContain("project_1");
  const { length } = calls;
  expect((await report("--mlflow", url)).out).toStartWith("Sent 0 new values of 0 experiments");
  expect(calls.length).toBe(length);
  rmSync(join(stateDir, "exports"), { recursive: true });
  expect((await report("--mlflow", url)).code).toBe(0);
  expect(made.runs.size).toBe(2);
});

test("tells MLflow again what a job has cost once that has changed, and only then", async () => {
  const made = mlflow();
  const known = { description: "baseline", params: { LR: 1 }, metrics: { loss: 2 } };
  const costOf = (job: string) => [...made.runs.values()].find(({ tags }) => tags["opencode.job"] === job)?.tags;
  const job = state.world?.add({ ...known, usd: 0.1 }) as Job;
  await keep(job);
  await report("--mlflow", url);
  expect(costOf(job.id)?.["opencode.usd"]).toBe("0.1");
  state.world?.add({ ...known, id: job.id, usd: 42 });
  await state.world?.ledger.open("ses_1");
  await report("--mlflow", url);
  expect(costOf(job.id)?.["opencode.usd"]).toBe("42");
  calls = [];
  await report("--mlflow", url);
  expect(calls).toEqual([]);
});
