import { callKey } from "./call-key.ts";
import { compareMeans } from "./experiments/noise.ts";
import { isEnded, type Job } from "./job.ts";
import type { Direction, MetricValue, Params } from "./run-task.ts";
import { toNumber } from "./series.ts";
import { perList, type StableLists, stable } from "./stable-lists.ts";

/*
 * Runs that one call has started are told and shown together: a sweep of two hundred is one thing to its orchestrator.
 */

/** The metric that runs are compared by: their early stopping's, or their benchmark's. */
export interface Objective {
  readonly metric: string;
  readonly direction: Direction;
}

function objectiveOf({ task }: Job): Objective | null {
  const named = task.run?.measures ?? task.run?.stop;
  return named ? { metric: named.metric, direction: named.direction } : null;
}

/**
 * What each of these runs is compared by. One that names nothing, such as a control that no early stopping may end, is compared
 * with the others where all of these have one objective and it has that metric.
 */
export function comparedBy(runs: readonly Job[]): (job: Job) => Objective | null {
  let common: Objective | null = null;
  let isOnly = true;
  for (const { task } of runs) {
    const named = task.run?.measures ?? task.run?.stop ?? null;
    if (named === null) continue;
    common ??= { metric: named.metric, direction: named.direction };
    if (common.metric !== named.metric || common.direction !== named.direction) isOnly = false;
  }
  return (job) => objectiveOf(job) ?? (isOnly && common && Object.hasOwn(job.metrics, common.metric) ? common : null);
}

/** What the runs of one call share; null for an agent's job. */
export const callOf = ({ task, origin, id }: Job): string | null =>
  task.run === null ? null : origin === null ? id : callKey(origin);

/** Of the orchestrator's calls: null also for a run that a job's agent started, of whose end that agent is told. */
export const groupOf = (job: Job): string | null => (job.startedBy === null ? callOf(job) : null);

/**
 * Runs with the best value first, those of one objective together and those without any last: of completed runs, of those at work, and of those that
 * were stopped or failed, whose values are of other steps. Runs without a value follow in the order of their ends, as do
 * equal ones.
 */
function bestFirst(runs: readonly Job[]): Job[] {
  const objectives = comparedBy(runs);
  const places = new Map<string, number>();
  const ranked = runs.map((job) => {
    const objective = objectives(job);
    const name = JSON.stringify(objective);
    const place = objective === null ? Number.POSITIVE_INFINITY : (places.get(name) ?? places.size);
    if (objective !== null) places.set(name, place);
    return { job, place, direction: objective?.direction ?? "min", value: numberOf(job, objective) };
  });
  return ranked
    .sort((a, b) => {
      if (a.place !== b.place) return a.place < b.place ? -1 : 1;
      const known = Number(a.value === undefined) - Number(b.value === undefined);
      if (known !== 0 || a.value === undefined || b.value === undefined) return known || byEnd(a.job, b.job);
      return compareRuns(a.job, a.value, b.job, b.value, a.direction) || byEnd(a.job, b.job);
    })
    .map(({ job }) => job);
}

/**
 * Below 0 where the run `a` ranks before `b`. Of those that have not completed the ones that were stopped later come first,
 * as far as that is known, because a value of another step says nothing.
 */
function compareRuns(a: Job, valueOfA: MetricValue, b: Job, valueOfB: MetricValue, direction: Direction): number {
  const areFinite = [isFiniteValue(valueOfA), isFiniteValue(valueOfB)];
  if (!areFinite[0] || !areFinite[1]) return Number(areFinite[1]) - Number(areFinite[0]);
  return (
    finality(a) - finality(b) ||
    (b.stopped?.rung ?? 0) - (a.stopped?.rung ?? 0) ||
    compareMeans(valueOfA, valueOfB, direction)
  );
}

const isFiniteValue = (value: MetricValue): boolean => Number.isFinite(toNumber(value));

/** How little a run's value is its last: 0 where it has completed. */
const finality = ({ state }: Job): number => (state.kind === "completed" ? 0 : isEnded(state) ? 2 : 1);

const numberOf = ({ metrics }: Job, objective: Objective | null): MetricValue | undefined =>
  objective !== null && Object.hasOwn(metrics, objective.metric) ? metrics[objective.metric]?.value : undefined;

/** A run, and the metric in which it is the best. */
export interface BestRun {
  readonly job: Job;
  readonly metric: string;
}

/**
 * The run with the best value, one that has completed where there is one; undefined where none has a value. Of several
 * objectives, by that of the first.
 */
export const bestOf = perList((runs: readonly Job[]): BestRun | undefined => {
  const objectives = comparedBy(runs);
  let objective: Objective | null = null;
  let best: { job: Job; value: MetricValue } | undefined;
  for (const job of runs) {
    const own = objectives(job);
    objective ??= own;
    if (own === null || own.metric !== objective?.metric || own.direction !== objective.direction) continue;
    const value = numberOf(job, own);
    if (value === undefined || job.state.kind === "failed") continue;
    if (!best || compareRuns(job, value, best.job, best.value, own.direction) < 0) best = { job, value };
  }
  return best && objective ? { job: best.job, metric: objective.metric } : undefined;
});

/** Jobs in the order in which their ends are told: as they are, and runs behind them, those of each call best first. */
export function tellingOrder(jobs: readonly Job[]): Job[] {
  const groups = groupBy(jobs, callOf);
  const single = groups.get(null) ?? [];
  groups.delete(null);
  return [...single, ...[...groups.values()].flatMap(bestFirst)];
}

const byEnd = (a: Job, b: Job): number => a.state.since - b.state.since || a.position - b.position;

/** What the runs of one call have come to. */
export interface GroupState {
  /** Runs that have not ended. */
  readonly open: number;
  readonly ended: number;
  /** Whether all that have ended failed, and all with one error code. */
  readonly failsAlike: boolean;
}

export function groupStates(jobs: readonly Job[]): ReadonlyMap<string, GroupState> {
  const states = new Map<string, { open: number; ended: number; codes: Set<string | null> }>();
  for (const job of jobs) {
    const name = groupOf(job);
    if (name === null || isRefused(job)) continue;
    const state = states.get(name) ?? { open: 0, ended: 0, codes: new Set() };
    states.set(name, state);
    if (!isEnded(job.state)) state.open++;
    else {
      state.ended++;
      state.codes.add(job.state.kind === "failed" ? job.state.failure.code : null);
    }
  }
  return new Map(
    [...states].map(([name, { open, ended, codes }]) => [
      name,
      { open, ended, failsAlike: codes.size === 1 && !codes.has(null) },
    ]),
  );
}

/** Whether its end was told in the answer of the call that was to start it. */
const isRefused = ({ state, startedAt, createdAt }: Job): boolean =>
  state.kind === "failed" && startedAt === null && state.since === createdAt;

/**
 * Longest time that the end of a run waits for the other runs of its call. Rare enough that a night of runs costs a few
 * dozen model requests, and often enough that a sweep which goes wrong is seen before it has used up its money.
 */
export const GROUP_MS = 10 * 60_000;
/** First ends of a call that all failed alike: the others would as well, so nothing is gained by waiting for them. */
export const FAILED_ALIKE = 10;

/**
 * When the ends of a call's runs are to be told, epoch ms. It follows from what is stored, so a restart changes nothing.
 * @param untold its runs whose ends nobody was told of
 */
export function tellAt(untold: readonly Job[], { open, ended, failsAlike }: GroupState): number {
  const first = Math.min(...untold.map(({ state }) => state.since));
  if (open === 0) return first;
  // Once: what fails after that is told with the others.
  if (failsAlike && ended >= FAILED_ALIKE && untold.length === ended) return first;
  return first + GROUP_MS;
}

/** Runs that are shown together: of one task, what is left of one call, or all that a job's agent started. */
export interface FoldedRuns {
  /** What their tasks are called; null = they are of several tasks. */
  readonly label: string | null;
  /** The job whose agent started them; null = whoever is shown them did. */
  readonly starter: string | null;
  readonly runs: readonly Job[];
}

export interface Folded {
  /** Have a line each, in the order given: agents' jobs, runs of small groups, and of large ones of one's own those at work. */
  readonly own: readonly Job[];
  readonly folded: readonly FoldedRuns[];
}

/** Runs of one group that have a line each. */
export const FEW_RUNS = 8;
/** Of a larger group, those at work that have one. */
const AT_WORK = 16;

/** Runs that a job's agent started which have a line each where others are shown them. */
const FEW_NESTED = 3;

export interface Folding {
  /** Runs of a group that is not folded. */
  readonly few?: number;
  /** Runs that another job's agent started, of a group that is not folded. */
  readonly fewNested?: number;
  /** Runs at work of a folded group that have a line each all the same. */
  readonly atWork?: number;
  /** The job whose agent is shown them; null = the orchestrator is. */
  readonly viewer?: string | null;
}

/** Divides jobs for a list: a sweep is a line, not hundreds, and so are the runs that another job's agent started. */
export function foldRuns(
  jobs: readonly Job[],
  { few = FEW_RUNS, fewNested = Math.min(few, FEW_NESTED), atWork = AT_WORK, viewer = null }: Folding = {},
): Folded {
  const nested = new Map<string, Job[]>();
  const calls = new Map<string, Job[]>();
  const own: Job[] = [];
  for (const job of jobs) {
    const { startedBy } = job;
    const call = callOf(job);
    if (startedBy !== null && startedBy !== viewer) add(nested, startedBy, job);
    else if (call === null) own.push(job);
    else add(calls, call, job);
  }
  const folded: FoldedRuns[] = [];
  for (const [starter, runs] of nested) {
    if (runs.length > fewNested) folded.push({ label: null, starter, runs: stable(lists, runs) });
    else own.push(...runs);
  }
  for (const runs of calls.values()) {
    const rest: Job[] = [];
    for (const [label, alike] of runs.length > few ? byLabel(stable(lists, runs)) : []) {
      if (alike.length > few) folded.push({ label, starter: null, runs: alike });
      else rest.push(...alike);
    }
    if (rest.length > few) folded.push({ label: null, starter: null, runs: stable(lists, rest) });
    else own.push(...(runs.length > few ? rest : runs));
  }
  if (folded.length === 0) return { own: jobs, folded };
  for (const { starter, runs } of folded) if (starter === null) own.push(...atWorkIn(runs).slice(0, atWork));
  const isOwn = new Set(own);
  return { own: own.length === 0 ? own : jobs.filter((job) => isOwn.has(job)), folded };
}

const lists: StableLists<Job> = new WeakMap();
const byLabel = perList((runs: readonly Job[]) => groupBy(runs, labelOf));
const atWorkIn = perList((runs: readonly Job[]) => runs.filter(isAtWork));

const isAtWork = ({ state: { kind } }: Job): boolean =>
  kind === "running" || kind === "starting" || kind === "interrupted";

/** The description of a run's task: that of the run has the values of its combination at the end. */
export const labelOf = ({ task }: Job): string => toLabel(task.description, task.run?.params ?? {});

/** A run's description without the values of its combination. @param params all of them */
export function toLabel(description: string, params: Params): string {
  const [first] = Object.keys(params);
  const at = first === undefined ? -1 : description.lastIndexOf(` (${first}=`);
  return at < 0 ? description : description.slice(0, at);
}

export function groupBy<K, T>(all: readonly T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const one of all) add(groups, keyOf(one), one);
  return groups;
}

function add<K, T>(groups: Map<K, T[]>, key: K, one: T): void {
  const group = groups.get(key);
  if (group) group.push(one);
  else groups.set(key, [one]);
}
