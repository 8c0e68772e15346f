import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableOf } from "../../../../src/config/prices.ts";
import { defaultOptions, optionsSchema } from "../../../../src/config/schema.ts";
import type { Job } from "../../../../src/core/job.ts";
import { createLimits } from "../../../../src/core/limits.ts";
import { createEnvironments } from "../../../../src/jobs/environments/environments.ts";
import { createProjectTrees } from "../../../../src/jobs/project/trees.ts";
import { createFirstSandbox, type SourcesDeps } from "../../../../src/jobs/sandbox/create-or-revive.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import type { CreationStep } from "../../../../src/sandboxes/creation-steps.ts";
import type { SandboxProvider } from "../../../../src/sandboxes/port.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";
import { sh } from "../../../contract/sandbox-shell.ts";
import { jobIn } from "../../../unit/views/job-in.ts";

/** A project, and a state directory that several processes share. @param folder that another process has made */
export function createWorld(folder = mkdtempSync(join(tmpdir(), "environments-"))) {
  const project = join(folder, "project");
  mkdirSync(project, { recursive: true });
  execFileSync("git", ["-C", project, "init", "-q"]);
  const write = (path: string, text: string) => {
    mkdirSync(join(project, path, ".."), { recursive: true });
    writeFileSync(join(project, path), text);
  };
  return {
    folder,
    project,
    stateDir: join(folder, "state"),
    write,
    remove: (path: string) => rmSync(join(project, path), { recursive: true }),
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export type World = ReturnType<typeof createWorld>;

export interface ProcessOptions {
  readonly environment: Record<string, unknown>;
  readonly provider: SandboxProvider;
  readonly hostEnv?: Record<string, string>;
  readonly limitMs?: number;
}

let count = 0;

/** The parts of an OpenCode process that make sandboxes of an environment. */
export async function openProcess(
  world: World,
  { environment, provider, hostEnv = {}, limitMs = 60_000 }: ProcessOptions,
) {
  const { stateDir } = world;
  const { environments } = optionsSchema.parse({ environments: { default: {}, made: environment } });
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const pool = await openPoolStore(stateDir);
  const ids = (prefix: string) => `${prefix}_${process.pid}_${++count}`;
  const log = () => {};
  const owner = toOwner(ids("owner"));
  const limits = createLimits({ ...defaultOptions(stateDir), environments }, tableOf);
  const shared = { stateDir, environments, pool, limits, clock, ids, log };
  const images = createEnvironments({ ...shared, hostEnv, provider: async () => provider, owner, limitMs });
  const git = createGit(clock, process.env);
  const trees = createProjectTrees({ ...shared, images, directory: world.project, git });
  const steps: CreationStep[] = [];
  const charged: number[] = [];
  const deps = {
    ...shared, trees, hostEnv, onStep: (step: CreationStep) => steps.push(step),
    snapshots: { find: () => null, renew: async () => {}, list: () => [] },
    leases: { claimGpu: () => true },
    sources: { frozen: async (_: SessionJobs, job: Job) => job },
  } as unknown as SourcesDeps; // biome-ignore format: one value

  /** Makes the first sandbox of a new job, runs a command in it, and ends it. */
  async function run(command: string, { queuedAt = clock.now(), signal = new AbortController().signal } = {}) {
    const id = ids("job");
    const { task } = jobIn({ kind: "queued" });
    let job: Job = jobIn(
      { kind: "starting", since: clock.now(), leaseID: "lease", queuedSince: queuedAt },
      { id, base: null, provider: provider.name, task: { ...task, environment: "made" } },
    );
    const sessionJobs = {
      get: () => job,
      all: () => [job],
      update(_: string, change: (job: Job) => Job) {
        const before = job.compute;
        job = change(job);
        if (job.compute !== before) charged.push(clock.now());
        return job;
      },
    };
    const { sandbox, from } = await createFirstSandbox(
      deps,
      sessionJobs as unknown as SessionJobs,
      provider,
      job,
      signal,
    );
    const { stdout, stderr, exit } = await sh(sandbox, command, { workdir: sandbox.workdir });
    await sandbox.terminate();
    return { output: stdout + stderr, exit, from, notes: job.notes };
  }

  return {
    pool,
    images,
    steps,
    charged,
    run,
    status: () => images.list(provider.name, world.project).find(({ name }) => name === "made"),
    passMinutes(minutes: number) {
      aheadMs += minutes * 60_000;
    },
    async close() {
      await trees.suspend();
      await images.suspend();
      pool.close();
    },
  };
}

/** An object with some of its members replaced. */
export const over = <T extends object>(target: T, own: Partial<T>): T =>
  new Proxy(target, {
    get(_, key) {
      if (key in own) return own[key as keyof T];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
