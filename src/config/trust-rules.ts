import { isDeepStrictEqual } from "node:util";
import type { Environment } from "./environment.ts";
import { type GpuRequest, parseGpu } from "./gpu.ts";
import { type Resources, resourcesOf } from "./resources.ts";
import type { ParsedOptions } from "./schema.ts";

/*
 * What a project's file may change, option by option. An option without a rule does not compile, so whoever adds an option
 * decides here. A rule compares two valid values, the user's and the project's. It returns null if the project's value is
 * no more permissive, and otherwise the reason why it is ignored.
 */

export type TrustRule<T, Facts = unknown> = "never" | ((mine: T, theirs: T, facts: Facts) => string | null);

type RulesOf<T> = { readonly [K in keyof T]-?: TrustRule<T[K]> };

/** Rule for amounts, such as time, money and jobs: the project may only lower them. null = no limit. */
const lower = (mine: number | null, theirs: number | null): string | null =>
  mine === null || (theirs !== null && theirs <= mine) ? null : `yours is ${mine}`;

const neverOn = (mine: boolean, theirs: boolean): string | null => (mine || !theirs ? null : "yours is false");

/** Rules of top-level options, except sections (`SECTION_RULES`), and environments and GPU limits, whose keys are names. */
export const OPTION_RULES = {
  provider: "never",
  maxRunningJobs: lower,
  maxTasksPerCall: lower,
  maxRunsPerCall: lower,
  jobSessions: "never",
  nesting: (mine: string, theirs: string) => (theirs === "none" ? null : `yours is ${mine}`),
  jobTimeoutMinutes: lower,
  stallTimeoutMinutes: lower,
  // Neither direction is tighter: rare snapshots lose work, frequent ones cost. The reserve of a rescue is similar.
  checkpointMinutes: "never",
  rescueMinutes: "never",
  parkAfterSeconds: lower,
  gpuLingerSeconds: lower,
  prices: "never",
  stateDir: "never",
  trustedProjects: "never",
} satisfies RulesOf<Omit<ParsedOptions, keyof typeof SECTION_RULES | "environments" | "benchmarks" | "gpuLimits">>;

export const SECTION_RULES = {
  budget: { usdPerSession: lower, warnAt: lower },
  modal: "never",
  local: "never",
  notify: { resume: neverOn },
  ledger: {
    scope: (mine: string, theirs: string) => (theirs === "session" ? null : `yours is ${mine}`),
  },
} satisfies { readonly [K in "budget" | "modal" | "local" | "notify" | "ledger"]: "never" | RulesOf<ParsedOptions[K]> };

/** A type that the user did not limit is bounded by his total, so any limit on it tightens. */
export const gpuLimitRule = (mine: number | undefined, theirs: number): string | null =>
  mine === undefined ? null : lower(mine, theirs);

/** A project measures its own jobs as it likes, but under no name of the user's. */
export const benchmarkRule = (isNew: boolean): string | null => (isNew ? null : "you have one of that name");

export interface EnvironmentFacts {
  /** The user's environment of that name, or the one that a new environment starts from. */
  readonly mine: Environment;
  /** Whether the user has no environment of that name. */
  readonly isNew: boolean;
  readonly options: ParsedOptions;
}

export const ENVIRONMENT_RULES: {
  readonly [K in keyof Environment]: TrustRule<Environment[K], EnvironmentFacts>;
} = {
  image(_mine, theirs, facts) {
    const name = typeof theirs === "string" ? theirs : theirs?.base;
    if (/^\s*(?:im-|modal:\/\/)/i.test(name ?? "")) return "an image of your Modal account is yours to name";
    if (facts.mine.imageSecret !== null) return "a registry of the repository's choice would be sent your secret";
    const builds = typeof theirs === "object" && theirs !== null;
    if (builds && facts.mine.network !== "open") return "what builds an image has the network";
    return unlessHoldsUserData(facts);
  },
  imageSecret: "never",
  setup(_mine, _theirs, facts) {
    // It would be the repository's own code on this machine, before anybody has asked a job for anything.
    if (facts.options.local.isolation === "none") return 'yours are without isolation ("local.isolation")';
    return facts.mine.network === "open" ? unlessHoldsUserData(facts) : "set-up has the network";
  },
  workspace: (mine, theirs) => (theirs === "empty" || mine === "project" ? null : "yours starts empty"),
  workdir: (_mine, _theirs, facts) => unlessHoldsUserData(facts),
  gpu(mine, theirs, { isNew, options }) {
    if (theirs === null) return null;
    if (isNew) return overLimit(gpusOf(theirs), options.gpuLimits);
    const [most, wanted] = [gpusOf(mine), gpusOf(theirs)];
    const isCovered = (want: (typeof wanted)[number]) =>
      most.some(({ type, count, exact }) => type === want.type && want.count <= count && (want.exact || !exact));
    return wanted.every(isCovered) ? null : `yours is ${mine ?? "none"}`;
  },
  cpu: (_mine, theirs, facts) => atMostLargest("cpu", theirs, facts),
  cpuLimit: (_mine, theirs, facts) => atMostLargest("cpuLimit", theirs, facts),
  memoryMiB: (_mine, theirs, facts) => atMostLargest("memoryMiB", theirs, facts),
  memoryLimitMiB: (_mine, theirs, facts) => atMostLargest("memoryLimitMiB", theirs, facts),
  env(_mine, _theirs, facts) {
    // Without isolation a variable such as LD_PRELOAD runs the repository's code on this machine before any command.
    if (facts.options.local.isolation === "none") return 'yours are without isolation ("local.isolation")';
    return unlessHoldsUserData(facts);
  },
  hostEnv: "never",
  secrets: "never",
  volumes: "never",
  buckets: "never",
  ports: (mine, theirs) => (theirs.every((port) => mine.includes(port)) ? null : "a port is open to the internet"),
  network(mine, theirs) {
    if (theirs === "blocked" || mine === "open") return null;
    const all = mine === "blocked" ? { domains: [], cidrs: [] } : mine;
    const isCovered =
      theirs !== "open" &&
      theirs.domains.every((domain) => all.domains.includes(domain)) &&
      theirs.cidrs.every((cidr) => all.cidrs.includes(cidr));
    return isCovered ? null : "yours is narrower";
  },
  // Refused also where the user names no regions: some regions cost more.
  regions: (mine, theirs) =>
    theirs.length > 0 && theirs.every((region) => mine.includes(region)) ? null : "only you may choose where jobs run",
  cloud: "never",
  proxy: "never",
  runtime: "never",
  refreshMinutes: "never",
  warm: "never",
  idleTimeoutMinutes: lower,
  sandboxTimeoutMinutes(mine, theirs, { options }) {
    if (mine === null && theirs === null) return null;
    return theirs === null ? `yours is ${mine}` : lower(mine ?? options.jobTimeoutMinutes, theirs);
  },
};

/**
 * Another image, variables or work directory are accepted only in an environment without anything of the user's: an image
 * or a proxy of the repository's choice could read his credentials.
 */
function unlessHoldsUserData({ mine }: EnvironmentFacts): string | null {
  const { env, hostEnv, secrets, volumes, buckets, proxy } = mine;
  const holdsUserData =
    proxy !== null || hostEnv.length + secrets.length + [env, volumes, buckets].flatMap(Object.keys).length > 0;
  return holdsUserData ? "yours holds variables, secrets, volumes, buckets or a proxy of your own" : null;
}

/**
 * At most the user's value, or, in a new environment, the largest of his environments. null = the default: allowed only where
 * one of the user's has it too, because the default of a limit grows with the request.
 */
function atMostLargest(key: keyof Resources, theirs: number | null, { mine, isNew, options }: EnvironmentFacts) {
  const all = isNew ? Object.values(options.environments) : [mine];
  // Locally the request for memory is the limit, which a limit of the project's must not raise.
  const limits = all.map(({ memoryMiB, memoryLimitMiB }) => memoryLimitMiB ?? memoryMiB);
  const isLocalLimit = key === "memoryLimitMiB" && !limits.includes(null);
  const most = isLocalLimit ? Math.max(...limits.map(Number)) : largestOf(all, key);
  if (theirs === null) return all.some((environment) => environment[key] === null) ? null : `yours is ${most}`;
  return lower(most, theirs);
}

/** The largest amount that one of these environments gives a sandbox without GPUs. */
export const largestOf = (environments: readonly Environment[], key: keyof Resources): number =>
  Math.max(...environments.map((environment) => resourcesOf(environment, null)[key]));

/** GPUs within the user's limits are accepted, because any task may request those as well. */
function overLimit(wanted: readonly GpuRequest[], limits: ParsedOptions["gpuLimits"]): string | null {
  for (const { type, count } of wanted) {
    const most = Math.min(limits.total, limits[type] ?? limits.total);
    if (count > most) return `your limit for ${type} is ${most}`;
  }
  return null;
}

function gpusOf(text: string | null): readonly GpuRequest[] {
  const parsed = text === null ? null : parseGpu(text);
  return parsed?.kind === "ok" ? parsed.preferences : [];
}

/** Whether the project's value equals the user's, so that no rule is needed. */
export const isSame = (mine: unknown, theirs: unknown): boolean => isDeepStrictEqual(mine, theirs);
