import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultOptions, type Options } from "../../../src/config/schema.ts";
import { type Job, NOTHING_GIVEN } from "../../../src/core/job.ts";
import type { Catalog } from "../../../src/core/ports.ts";
import { type StartRequest, startJobs } from "../../../src/jobs/actions/start-jobs.ts";
import { openRuntime, type Runtime, type RuntimeDeps } from "../../../src/jobs/runtime.ts";
import type { SessionJobs } from "../../../src/jobs/session/session-jobs.ts";
import { openSessionStore, sessionFile, type Turn } from "../../../src/jobs/store/session-store.ts";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.ts";
import { closed, opened } from "../../support/ledger.ts";
import { createMemoryMachine, type MemoryMachine } from "../../support/memory-machine.ts";
import { createScriptedOrchestrator, type ScriptedOrchestrator } from "../../support/scripted-orchestrator.ts";
import { createScriptedSessions, type ScriptedSessions } from "../../support/scripted-sessions.ts";

/** One state directory, machine, host and clock, on which runtimes open and close as OpenCode processes do. */
export interface World {
  readonly clock: FakeClock;
  readonly machine: MemoryMachine;
  readonly sessions: ScriptedSessions;
  readonly orchestrators: ScriptedOrchestrator;
  readonly stateDir: string;
  /** Log entries of level `error` or `warn`, with their level and reason. */
  readonly loggedProblems: string[];
  /** Budget warnings published so far, e.g. "1.61 of 2" (USD). */
  readonly budgetWarnings: string[];
  /** The runtime that `start`, `job` and `reaches` use. */
  runtime: Runtime;
  /** Opens another runtime, as another OpenCode process would. It is closed with the world. */
  open(options?: Partial<Options>): Promise<Runtime>;
  /** Suspends a runtime, as happens when its process ends. */
  close(runtime: Runtime): Promise<readonly string[]>;
  /** Suspends the current runtime and opens a new one in its place. */
  reopen(): Promise<Runtime>;
  /** Starts a job per task; a string is a prompt. Returns their ids in order. */
  start(...tasks: (string | StartRequest)[]): Promise<string[]>;
  job(id: string): Job;
  /** Advances the clock until the job is in one of these states. */
  reaches(id: string, ...kinds: Job["state"]["kind"][]): Promise<Job>;
  turns(jobID: string): Promise<Turn[]>;
  /** The machine's operations that begin with this verb. */
  operations(verb: string): string[];
  end(): Promise<void>;
}

export const ORCHESTRATOR = "ses_orchestrator";

export const CATALOG: Catalog = {
  agents: [
    { name: "sandbox_worker", model: null, variant: null, prompt: null, forbidden: [], rules: [], unenforced: [] },
    {
      name: "reviewer",
      model: "acme/small",
      variant: null,
      prompt: "You review.",
      forbidden: [],
      rules: [],
      unenforced: [],
    },
  ],
  models: new Map([
    ["acme/large", { variants: ["low", "high"], seesImages: true }],
    ["acme/small", { variants: ["low"], seesImages: false }],
  ]),
  skills: [{ name: "golf", content: "Play well.", folder: "/skills/golf", project: null }],
};

/** Starts a job per task in any runtime and session; a string is a prompt. */
export function startIn(runtime: Runtime, orchestrator: string, ...tasks: (string | StartRequest)[]): Promise<Job[]> {
  const requests = tasks.map((task) =>
    typeof task === "string" ? { description: task.slice(0, 40), prompt: task } : task,
  );
  const context = {
    orchestrator,
    origin: { sessionID: orchestrator, messageID: "msg_start", callID: "call_start" },
    catalog: CATALOG,
    orchestratorModel: "acme/large",
    orchestratorVariant: null,
    given: { ...NOTHING_GIVEN, notes: [] },
    forbidden: [],
  };
  return startJobs(runtime, requests, context);
}

export async function openWorld(options: Partial<Options> = {}, deps: Partial<RuntimeDeps> = {}): Promise<World> {
  const stateDir = mkdtempSync(join(tmpdir(), "runtime-"));
  opened("runtime", stateDir, () => rmSync(stateDir, { recursive: true, force: true }));
  const clock = createFakeClock();
  const machine = createMemoryMachine();
  const sessions = createScriptedSessions(clock);
  const orchestrators = createScriptedOrchestrator(clock);
  const loggedProblems: string[] = [];
  const budgetWarnings: string[] = [];
  const runtimes = new Set<Runtime>();
  let count = 0;

  const open = async (more: Partial<Options> = {}) => {
    const runtime = await openRuntime({
      options: { ...defaultOptions(stateDir), ...options, ...more },
      notices: [],
      sessions,
      orchestrators,
      providerName: "local",
      createProvider: async () => machine.open(),
      catalog: async () => CATALOG,
      directory: null,
      hostEnv: {},
      clock,
      ids: (prefix) => `${prefix}_${++count}`,
      log: (level, message, fields) => {
        if (level === "error" || level === "warn") loggedProblems.push(`${level}: ${message} ${fields?.reason ?? ""}`);
      },
      ...deps,
    });
    runtime.watchdog.onBudgetWarning(({ spend, ceilingUsd }) =>
      budgetWarnings.push(`${spend.usd.toFixed(2)} of ${ceilingUsd}`),
    );
    runtimes.add(runtime);
    return runtime;
  };
  const close = async (runtime: Runtime) => {
    runtimes.delete(runtime);
    let isSuspended = false;
    const suspended = runtime.suspend().finally(() => {
      isSuspended = true;
    });
    await clock.until("the runtime is suspended", () => isSuspended);
    return suspended;
  };

  const jobsByRuntime = new Map<Runtime, SessionJobs>();
  const world: World = {
    clock,
    machine,
    sessions,
    orchestrators,
    stateDir,
    loggedProblems,
    budgetWarnings,
    runtime: await open(),
    open,
    close,
    async reopen() {
      if (runtimes.has(world.runtime)) await close(world.runtime);
      world.runtime = await open();
      jobsByRuntime.set(world.runtime, await world.runtime.sessionJobs(ORCHESTRATOR));
      return world.runtime;
    },
    async start(...tasks) {
      const jobs = await startIn(world.runtime, ORCHESTRATOR, ...tasks);
      jobsByRuntime.set(world.runtime, await world.runtime.sessionJobs(ORCHESTRATOR));
      return jobs.map(({ id }) => id);
    },
    job(id) {
      const job = jobsByRuntime.get(world.runtime)?.get(id);
      if (!job) throw new Error(`no job ${id}`);
      return job;
    },
    async reaches(id, ...kinds) {
      await clock.until(`${id} is ${kinds.join(" or ")}, not ${world.job(id).state.kind}`, () =>
        kinds.includes(world.job(id).state.kind),
      );
      return world.job(id);
    },
    async turns(jobID) {
      const store = await openSessionStore(sessionFile(stateDir, ORCHESTRATOR));
      const turns = store.turns(jobID);
      store.close();
      return turns;
    },
    operations: (verb) => machine.operations.filter((line) => line.startsWith(`${verb} `)),
    async end() {
      try {
        for (const runtime of [...runtimes]) await close(runtime);
        await clock.advance(60_000);
        if (clock.pending() > 0) throw new Error(`${clock.pending()} timers have not fired`);
      } finally {
        rmSync(stateDir, { recursive: true, force: true });
        closed("runtime", stateDir);
      }
    },
  };
  return world;
}

/** Returns a test that runs in a world of its own, which is ended whatever happens. */
export const inWorld =
  (body: (world: World) => Promise<void>, options: Partial<Options> = {}, deps: Partial<RuntimeDeps> = {}) =>
  async (): Promise<void> => {
    const world = await openWorld(options, deps);
    let failed = true;
    try {
      await body(world);
      failed = false;
    } finally {
      await world.end().catch((error) => {
        if (!failed) throw error; // the test's own failure is more useful
      });
    }
  };

/** Leases held in the pool, as any process would count them. */
export const leaseCount = (runtime: Runtime): number => runtime.pool.poolState(runtime.clock.now()).leases.length;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const text = (content: Uint8Array | undefined): string => new TextDecoder().decode(content);

/** A promise that resolves when the gate is opened. */
export const gate = (): { readonly passed: Promise<void>; open(): void } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
};

/** A job as written in its session's state file. */
export function storedJob({ stateDir }: World, id: string): Job {
  using database = new Database(sessionFile(stateDir, ORCHESTRATOR), { readonly: true });
  const row = database.query<{ record: string }, [string]>("SELECT record FROM jobs WHERE id = ?").get(id);
  return JSON.parse(row?.record ?? "null") as Job;
}
