import { type Environment, setupOf } from "../../config/environment.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import {
  decideEnvironment,
  type EnvironmentDecision,
  type EnvironmentFacts,
  type EnvironmentImage,
  type EnvironmentRecord,
  type EnvironmentState,
  NOTHING_BUILT,
  stateOf,
  unneededContents,
} from "../../core/environment-image.ts";
import type { Job } from "../../core/job.ts";
import { environmentOf } from "../../core/task-source.ts";
import type { StepListener } from "../../sandboxes/creation-steps.ts";
import type { SandboxProvider } from "../../sandboxes/port.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { isNotAlive } from "../../shared/process-identity.ts";
import { removeSnapshot } from "../snapshots/remove-snapshot.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { ImageRequest } from "./build-image.ts";
import { contentKey } from "./content-key.ts";
import { createRunningBuild, type RunningBuild } from "./running-build.ts";

/** The environments' images: what their set-up has left, for jobs to start from. Built by whoever needs one first. */
export interface Environments {
  /**
   * The image that a new sandbox of the job starts from, built first where there is none.
   * @returns null = its environment has no set-up
   * @throws PluginError `setup_failed`, `cancelled`, and what a build may throw
   */
  get(request: EnvironmentRequest): Promise<EnvironmentImage | null>;
  /** Forgets an image that no sandbox could start from: the next job builds it anew. */
  forget(snapshotID: string): void;
  /** All that are configured, as jobs without an image of their own have them. @param project absolute root of the session's project; null = there is none */
  list(provider: ProviderName, project: string | null): EnvironmentStatus[];
  /** Removes the images that nobody needs. @returns the ids of the snapshots that were removed */
  removeUnneeded(): Promise<string[]>;
  /** Ends the builds of this process, and waits until they have come to rest. */
  suspend(): Promise<void>;
}

export interface EnvironmentRequest extends Pick<ImageRequest, "tree" | "job" | "provider"> {
  /** Adds what a sandbox costs that exists for so long to what the job has cost. @returns USD */
  readonly charge: (ms: number) => number;
  /** What it adds for an hour. */
  readonly usdPerHour: number;
  readonly onStep?: StepListener | undefined;
  readonly signal: AbortSignal;
}

export interface EnvironmentStatus {
  readonly name: string;
  readonly commands: number;
  readonly state: EnvironmentState;
  readonly record: EnvironmentRecord;
}

export interface EnvironmentsDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly pool: PoolStore;
  /** Names this process. */
  readonly owner: string;
  /** Longest duration of a set-up. */
  readonly limitMs: number;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

const MINUTE_MS = 60_000;
/** How often a process looks at what another one builds. */
const LOOK_MS = 1_000;

export function createEnvironments(deps: EnvironmentsDeps): Environments {
  const { pool, owner, clock, log } = deps;
  const closing = new AbortController();
  const ending = closing.signal;
  /** The builds of this process, by key. */
  const running = new Map<string, RunningBuild>();
  /** Until builds and their sandboxes have come to rest. */
  const resting = new Set<Promise<unknown>>();
  /** When the use of a content was last recorded. */
  const notedAt = new Map<string, number>();

  const factsOf = ({ refreshMinutes }: Pick<Environment, "refreshMinutes">): EnvironmentFacts => ({
    now: clock.now(),
    isDead: isNotAlive,
    refreshMs: refreshMinutes * MINUTE_MS,
  });

  const keyOf = (environment: Environment, provider: ProviderName, project: string | null): string =>
    contentKey(environment, { provider, project, hostEnv: deps.hostEnv, salt: pool.identity() });

  /** What the job does now. Whoever is to build has that recorded in the transaction in which it is decided. */
  function decide(request: EnvironmentRequest, { key, environment }: Content): Decided {
    const decideFrom = (record: EnvironmentRecord) =>
      decideEnvironment(record, factsOf(environment), queuedSince(request.job));
    const seen = decideFrom(pool.environment(key));
    if (!isToBuild(seen)) return { decision: seen, buildID: null };
    const id = deps.ids("build");
    return pool.changeEnvironment<Decided>(key, (record) => {
      const decision = decideFrom(record);
      if (!isToBuild(decision)) return { record, result: { decision, buildID: null } };
      const now = clock.now();
      const of = setupOf(environment).length;
      const build = { id, owner, since: now, renewedAt: now, sandboxID: null, step: 0, of, command: "" };
      return { record: { ...record, build }, result: { decision, buildID: id } };
    });
  }

  function begin(request: EnvironmentRequest, what: Content, buildID: string): RunningBuild {
    const build = createRunningBuild({ ...deps, ending, removeImage }, { ...request, ...what }, buildID);
    running.set(what.key, build);
    const rest = build.settled();
    resting.add(rest);
    void rest.finally(() => resting.delete(rest));
    void build.made
      .catch(() => {}) // whoever waits for it is told; of one in the background the record tells
      .finally(() => {
        if (running.get(what.key) === build) running.delete(what.key);
      });
    return build;
  }

  /** Hundreds of jobs may start within seconds. */
  function noteUse(key: string, slot: string): void {
    const now = clock.now();
    if (now - (notedAt.get(slot + key) ?? Number.NEGATIVE_INFINITY) < MINUTE_MS) return;
    pool.saveEnvironmentUse({ key, slot, owner, usedAt: now });
    notedAt.set(slot + key, now);
  }

  async function get(request: EnvironmentRequest): Promise<EnvironmentImage | null> {
    const { job, provider, tree, signal, onStep } = request;
    const { environment: name } = job.task;
    const environment = environmentOf(deps.environments, job.task);
    if (!environment || setupOf(environment).length === 0) return null;
    const project = tree?.base.project ?? null;
    const key = keyOf(environment, provider.name, project);
    const what = { name, environment, key };
    const ownImage = job.task.source?.kind === "image" ? job.task.source.id : null;
    noteUse(key, JSON.stringify([provider.name, project, name, ownImage]));
    for (;;) {
      if (signal.aborted || ending.aborted)
        throw new PluginError("cancelled", `The job was stopped before environment ${name} was built.`);
      const { decision, buildID } = decide(request, what);
      const begun = buildID === null ? null : begin(request, what, buildID);
      if (decision.kind === "use") return decision.image;
      if (decision.kind === "fail")
        throw new PluginError(decision.failure.code, decision.failure.message, { retryable: false });
      const own = begun ?? running.get(key);
      if (own && (begun || (decision.kind === "wait" && own.id === decision.build.id))) {
        const made = await own.wait(signal, onStep, request.charge);
        if (made) return made;
        continue; // another process took it over meanwhile
      }
      if (decision.kind === "wait") {
        const { since, step, of, command } = decision.build;
        onStep?.({ kind: "setup", since, environment: name, step, of, command, line: null });
      }
      await sleep(clock, LOOK_MS, AbortSignal.any([signal, ending]));
    }
  }

  /** Removes an image and the prepared trees that were made from it. */
  async function removeImage(image: Pick<EnvironmentImage, "snapshotID" | "provider">): Promise<string[]> {
    const removal = {
      pool,
      now: clock.now(),
      store: async (name: ProviderName) => {
        const { snapshots } = await deps.provider(name);
        if (snapshots) return snapshots;
        throw new PluginError("snapshot_failed", `The ${name} provider cannot remove snapshots.`, { retryable: false });
      },
    };
    const trees = pool.allPreparedTrees().filter(({ environment }) => environment === image.snapshotID);
    const removed: string[] = [];
    for (const id of [...trees.map(({ snapshotID }) => snapshotID), image.snapshotID]) {
      pool.deletePreparedTree(id);
      removed.push(...(await removeSnapshot(removal, { id, provider: image.provider })));
    }
    return removed;
  }

  async function removeUnneeded(): Promise<string[]> {
    const removed: string[] = [];
    const facts = { now: clock.now(), isDead: isNotAlive };
    for (const key of unneededContents(pool.environmentKeys(), pool.environmentUses(), facts)) {
      const { image, former } = pool.environment(key);
      for (const one of [former, image]) if (one) removed.push(...(await removeImage(one)));
      pool.changeEnvironment(key, () => ({ record: null, result: undefined }));
      pool.deleteEnvironmentUses(key);
    }
    return removed;
  }

  return {
    get,
    forget(snapshotID) {
      for (const key of pool.environmentKeys())
        if (pool.environment(key).image?.snapshotID === snapshotID) {
          log("warn", "the image of an environment is gone, it is built anew", { snapshotID });
          pool.changeEnvironment(key, (record) => ({
            record: record.image?.snapshotID === snapshotID ? { ...record, image: null, failed: null } : record,
            result: undefined,
          }));
          pool.deleteLineage(snapshotID);
        }
    },
    list: (provider, project) =>
      Object.entries(deps.environments).map(([name, environment]): EnvironmentStatus => {
        const commands = setupOf(environment).length;
        if (commands === 0) return { name, commands, state: "ready", record: NOTHING_BUILT };
        const place = environment.workspace === "project" ? project : null;
        const record = pool.environment(keyOf(environment, provider, place));
        return { name, commands, state: stateOf(record, factsOf(environment)), record };
      }),
    removeUnneeded,
    async suspend() {
      closing.abort();
      await Promise.allSettled(resting);
    },
  };
}

/** `buildID`: of the build that this process is to begin; null = none. */
interface Decided {
  readonly decision: EnvironmentDecision;
  readonly buildID: string | null;
}

type Content = Pick<ImageRequest, "name" | "environment" | "key">;

const isToBuild = (decision: EnvironmentDecision): boolean =>
  decision.kind === "build" || (decision.kind === "use" && decision.refresh);

/** Since when the job waits to be started, epoch ms: one that is woken waits anew. */
const queuedSince = ({ state, createdAt }: Job): number =>
  state.kind === "starting" ? (state.queuedSince ?? createdAt) : createdAt;
