import { afterAll, afterEach, beforeAll, beforeEach } from "bun:test";
import { mkdirSync, mkdtempSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { runCommandLine } from "../../../src/cli/run-command-line.ts";
import type { Job } from "../../../src/core/job.ts";
import { openPoolStore } from "../../../src/jobs/store/pool-store.ts";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { type LedgerWorld, openLedgerWorld } from "../../unit/jobs/project/ledger-support.ts";

export interface Tracker {
  stateDir: string;
  url: string;
  /** Each as "POST /path". */
  calls: string[];
  answer: (call: string, body: Record<string, unknown>, request: IncomingMessage) => readonly [number, unknown];
  /** Answers in place of `answer`. */
  raw: ((response: ServerResponse) => void) | null;
  world: LedgerWorld;
  /** Records a job in its session's file. */
  keep(job: Job): Promise<void>;
  report(...args: string[]): Promise<{ code: number; out: string; err: string }>;
}

/** A server for trackers, and for each test a project with three jobs: two experiments, and a measurement of the first. */
export function useTracker(): Tracker {
  let server: Server;
  const tracker: Tracker = {
    stateDir: "",
    url: "",
    calls: [],
    answer: () => [404, {}],
    raw: null,
    world: null as unknown as LedgerWorld,
    async keep(job) {
      const store = await openSessionStore(sessionFile(tracker.stateDir, "ses_1"));
      store.insert([{ job, turn: null }]);
      store.close();
    },
    async report(...args) {
      const [printed, told]: [string[], string[]] = [[], []];
      const code = await runCommandLine(["report", "ses_1", "--state-dir", tracker.stateDir, ...args], COMMANDS, {
        write: (text) => void printed.push(text),
        writeError: (text) => void told.push(text),
      });
      return { code, out: printed.join(""), err: told.join("") };
    },
  };

  beforeAll(() => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        if (tracker.raw) return tracker.raw(response);
        const path = (request.url ?? "").split("?")[0];
        const call = `${request.method} ${path}`;
        tracker.calls.push(call);
        const [status, body] = tracker.answer(call, JSON.parse(Buffer.concat(chunks).toString() || "{}"), request);
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      });
    });
    return new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        tracker.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        resolve();
      });
    });
  });
  afterAll(() => void server.close());

  beforeEach(async () => {
    tracker.calls = [];
    tracker.raw = null;
    tracker.stateDir = mkdtempSync(join(tmpdir(), "export-"));
    mkdirSync(join(tracker.stateDir, "sessions"));
    const world = openLedgerWorld({ stateDir: tracker.stateDir });
    tracker.world = world;
    world.projects.set("ses_1", "project_1");
    await tracker.keep(
      world.add({ description: "baseline", params: { LR: 1, "a b?": "x" }, metrics: { loss: 2, "odd!": "NaN" } }),
    );
    await tracker.keep(world.add({ description: "talks", command: null, metrics: { loss: "Infinity" } }));
    world.add({ measures: { jobID: "job_1", seed: 3 }, metrics: { loss: 2.5 }, source: "clean" });
    await world.ledger.open("ses_1");
    const pool = await openPoolStore(tracker.stateDir);
    pool.saveProject("ses_1", "project_1");
    pool.close();
  });
  afterEach(() => tracker.world.end());
  return tracker;
}

export type Entry = Record<string, unknown> & {
  log_id: string;
  run_id: string;
  metrics: Record<string, unknown>;
  config: Record<string, unknown>;
};

/** As Trackio's own: one call, its token, entries with known fields alone, doubles known by their id. */
export function serveTrackio(tracker: Tracker, token: string) {
  const entries = new Map<string, Entry>();
  const configs = new Map<string, Entry["config"]>();
  let failing = Number.POSITIVE_INFINITY;
  tracker.answer = (call, body, request) => {
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
      configs.set(entry.run_id, entry.config);
    }
    return [200, { data: null }];
  };
  return { entries, configs, failAfter: (n: number) => (failing = n) };
}

interface MlflowRun {
  isDeleted: boolean;
  tags: Record<string, string>;
  params: unknown[];
  metrics: Record<string, unknown>[];
  update?: unknown;
}

/** As MLflow's own with a store in SQL: the paths, fields and limits of its REST API, and its answers about what is deleted. */
export function serveMlflow(tracker: Tracker) {
  const made = {
    /** Its name; "" = there is none. */
    experiment: "",
    id: "7",
    isExperimentDeleted: false,
    /** Characters that a param may have. */
    longest: 6_000,
    runs: new Map<string, MlflowRun>(),
    /** The server loses everything. */
    wipe() {
      made.experiment = "";
      made.runs.clear();
    },
    /** The run that the server would show of a job. */
    of: (job: string) =>
      [...made.runs.values()].find(({ tags, isDeleted }) => !isDeleted && tags["opencode.job"] === job),
    /** What it shows as the latest value, as its stores choose it. */
    latest(job: string, key: string) {
      const order = (one: Record<string, unknown>) => [Number(one.step), Number(one.timestamp)] as const;
      const values = made.of(job)?.metrics.filter((one) => one.key === key) ?? [];
      return values.sort((a, b) => order(a)[0] - order(b)[0] || order(a)[1] - order(b)[1]).at(-1)?.value;
    },
  };
  const NAME = /^[\w\-. :/]{1,250}$/;
  tracker.answer = (call, body) => {
    const run = made.runs.get(String(body.run_id));
    switch (call.replace("/api/2.0/mlflow/", "")) {
      case "GET experiments/get-by-name":
        return made.experiment === ""
          ? [404, { error_code: "RESOURCE_DOES_NOT_EXIST" }]
          : [200, { experiment: { experiment_id: made.id, lifecycle_stage: made.isExperimentDeleted ? "deleted" : "active" } }]; // biome-ignore format: one line
      case "POST experiments/create":
        made.experiment = String(body.name);
        return [200, { experiment_id: made.id }];
      case "POST runs/search": {
        const [, job = ""] = /^tags\.`opencode\.job` = '(\w+)'$/.exec(String(body.filter)) ?? [];
        const [id] = [...made.runs].find(([, one]) => one === made.of(job)) ?? [];
        return [200, id ? { runs: [{ info: { run_id: id } }] } : {}];
      }
      case "POST runs/create": {
        const id = `run${made.runs.size + 1}`;
        const tags = Object.fromEntries(
          (body.tags as { key: string; value: string }[]).map(({ key, value }) => [key, value]),
        );
        made.runs.set(id, { isDeleted: false, tags, params: [], metrics: [] });
        return body.experiment_id === made.id ? [200, { run: { info: { run_id: id } } }] : [400, {}];
      }
      case "POST runs/log-batch": {
        const [metrics, params] = [body.metrics, body.params] as [Record<string, unknown>[], Record<string, unknown>[]];
        if (!run) return [404, { error_code: "RESOURCE_DOES_NOT_EXIST" }];
        if (run.isDeleted) return [400, { error_code: "INVALID_PARAMETER_VALUE", message: `The run ${body.run_id} must be in the 'active' state. Current state is deleted.` }]; // biome-ignore format: one line
        if ([...metrics, ...params].some(({ key }) => !NAME.test(String(key)))) return [400, { error_code: "INVALID_PARAMETER_VALUE" }]; // biome-ignore format: one line
        if (params.some(({ value }) => String(value).length > made.longest)) return [400, { error_code: "INVALID_PARAMETER_VALUE" }]; // biome-ignore format: one line
        if (metrics.some(({ value, timestamp, step }) => value === null || !Number.isInteger(timestamp) || !Number.isInteger(step))) return [400, {}]; // biome-ignore format: one line
        // It does not know a NaN that it has, as no NaN equals another (mlflow/mlflow#26108, #24612): its database refuses all.
        const isThere = (metric: unknown) => run.metrics.some((one) => Bun.deepEquals(one, metric));
        const isTwice = (metric: unknown, at: number) =>
          metrics.slice(0, at).some((one) => Bun.deepEquals(one, metric));
        if (metrics.some((one, at) => one.value === "NaN" && (isThere(one) || isTwice(one, at)))) return [400, { error_code: "BAD_REQUEST", message: "(sqlite3.IntegrityError) UNIQUE constraint failed: metrics.key, metrics.timestamp" }]; // biome-ignore format: one line
        for (const metric of metrics) if (!isThere(metric)) run.metrics.push(metric);
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
