import { guessDirection } from "../../core/experiments/direction.ts";
import { type Experiment, keyWithoutFiles } from "../../core/experiments/experiment.ts";
import { isInDoubt, type Missing } from "../../core/experiments/missing.ts";
import { areRepeatsEqual, noiseFloor, verdict } from "../../core/experiments/noise.ts";
import { compareSources } from "../../core/metric-source.ts";
import { toLabel } from "../../core/run-groups.ts";
import type { Direction } from "../../core/run-task.ts";
import { toExperimentView } from "../../views/experiment-view.ts";
import type { Leaderboard, LeaderboardEntry } from "../../views/leaderboard.ts";
import type { ExperimentQueries } from "../store/experiment-queries.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { Field, Measure, ScoreRow } from "../store/score-queries.ts";

export interface ListRequest {
  readonly metric?: string | undefined;
  readonly direction?: Direction | undefined;
  readonly limit?: number | undefined;
  readonly scope?: "project" | "session" | undefined;
}

const USUAL_LIMIT = 20;
/** Experiments that noise is looked for in; the newest of them say enough. */
const GROUP_LIMIT = 500;

/** Where nothing was measured. */
export const NO_EXPERIMENTS: Omit<Leaderboard, "scope"> = {
  metric: null,
  missing: null,
  direction: null,
  directionBy: null,
  entries: [],
  count: 0,
  ranked: 0,
  all: 0,
  otherMetrics: [],
  noise: null,
  areRepeatsEqual: false,
  control: null,
};

/** @param session null = of all sessions of the project */
export function rankExperiments(
  store: ExperimentQueries,
  pool: Pick<PoolStore, "knowsSnapshot">,
  session: string | null,
  request: ListRequest & { readonly scope: "project" | "session" },
): Leaderboard {
  const { scope, limit = USUAL_LIMIT } = request;
  const usual = store.usualMetrics(session).map(({ metric }) => metric);
  const known = [...new Set([...usual, ...store.allMetrics(session)])];
  const all = store.count(session);
  const metric = chooseMetric(store, session, request.metric, known);
  const measures = metric === null ? [] : store.measures(session, metric);
  const otherMetrics = known.filter((one) => one !== metric);
  // Of equally strong ones the newest: an earlier benchmark of the same name measured under other conditions.
  const byStrength = [...measures].sort((a, b) => compareSources(b.source, a.source));
  const strongest = byStrength.find((one) => store.countFinal({ ...one, session }) > 0) ?? byStrength[0];
  if (metric === null || strongest === undefined)
    return { ...NO_EXPERIMENTS, scope, missing: request.metric ?? null, all, otherMetrics: known };

  const goal = store.newestGoal(session, metric);
  const guessed = guessDirection(metric);
  const direction = request.direction ?? goal?.direction ?? guessed;
  const directionBy = request.direction
    ? "call"
    : goal
      ? goal.bench === null
        ? "stop"
        : "benchmark"
      : guessed && "name";
  const field: Field = { session, metric, source: strongest.source, bench: strongest.bench };

  // Of stronger ones no number is final, as those that are outdated: they are not ranked, nor left out for weaker ones.
  const stronger = byStrength.slice(0, byStrength.indexOf(strongest));
  const notFinal = unranked(stronger, null, Math.floor(limit / 2), new Set());
  const ranked = direction === null ? [] : store.best(field, direction, limit - notFinal.length);
  const control = findControl(store, field);
  const group =
    control?.isParent === true
      ? [control.score, ...store.startedFrom(field, control.job, GROUP_LIMIT)]
      : store.startedFrom(field, null, GROUP_LIMIT);
  const leading = direction === null ? [] : store.best(field, direction, 2);
  const [best] = leading;

  const others = unranked(
    byStrength.slice(stronger.length),
    direction === null ? null : strongest, // nothing is ranked where it is not known which numbers are better
    limit - notFinal.length - ranked.length,
    new Set(ranked.map((score) => score.group)),
  );

  const places = placesOf(ranked);
  const next = [...leading, ...ranked].find(({ mean }) => mean !== best?.mean) ?? null;
  /** Of several jobs the one to go on from. */
  const jobOf = (score: ScoreRow, own: Field) =>
    (score.jobs > 1 && direction !== null && store.bestJob(own, score.group, direction)) || score.job;
  const found = [...ranked, ...notFinal, ...others].flatMap((score, index) => {
    const own: Field = { ...field, source: score.source, bench: score.bench };
    const experiment = store.experiment(jobOf(score, own));
    if (!experiment) return [];
    const parent = experiment.parent === null ? null : store.scoreOfJob(own, experiment.parent);
    const reference = parent ?? (control && control.score.group !== score.group ? control.score : null);
    return [{ score, experiment, parent, reference, rank: places[index] ?? null }];
  });
  const compared = [...(control ? [control.score] : []), ...group];
  const missing = missingOf(store, session, [
    ...compared,
    ...found.flatMap(({ score, reference }) => [score, ...(reference ? [reference] : [])]),
  ]);
  // Of seeds that early stopping has chosen from, the worst are not among those that are left.
  const isWhole = (score: ScoreRow) => missing(score)?.stopped === undefined;
  const whole = group.filter(isWhole);
  const noise = noiseFloor({ control: control && isWhole(control.score) ? control.score : null, group: whole });
  const cutShort = new Set(compared.filter((score) => !isWhole(score)).map((score) => score.group)).size;

  const entries = found.map(({ score, experiment, parent, reference, rank }): LeaderboardEntry => {
    const own = missing(score);
    const told = rank !== null && direction !== null ? verdict(score, reference, direction, noise) : null;
    const inDoubt = isInDoubt(told, own, reference ? missing(reference) : undefined);
    const view = toExperimentView({
      id: `exp_${score.group}`,
      experiment,
      metric,
      direction,
      score,
      missing: own,
      rank,
      verdict: inDoubt ? null : told,
      parentMean: parent?.mean ?? null,
      bestMean: rank === null ? null : (best?.mean ?? null),
      nextMean: rank === 1 ? (next?.mean ?? null) : null,
      cost: store.costOf(score.group, session),
      snapshot: usableSnapshot(experiment, pool),
    });
    const isSameBenchmark = score.source !== field.source || score.bench === field.bench;
    const label = labelOf(experiment);
    return {
      view,
      label,
      standing: score.standing,
      ...(score.standing === "failed" && experiment.state === "cancelled" && { isCancelled: true as const }),
      isSameBenchmark,
      ...(inDoubt && { isInDoubt: true as const }),
    };
  });
  const apart = tornApart(entries.map((entry, index) => ({ entry, experiment: found[index]?.experiment ?? null })));
  return {
    scope,
    metric,
    missing: null,
    direction,
    directionBy,
    entries,
    count: measures.length === 1 ? strongest.n : store.countAll(session, metric),
    ranked: direction === null ? 0 : store.countFinal(field),
    all,
    otherMetrics,
    noise,
    areRepeatsEqual: areRepeatsEqual(whole),
    ...(apart.length > 0 && { apart }),
    ...(cutShort > 0 && { cutShort }),
    control: control && nameOf(store, jobOf(control.score, field)),
  };

  /**
   * Those that are not ranked, by the first of these measures that an experiment has.
   * @param by what experiments are ranked by; null = nothing @param seen experiments that are left out
   */
  function unranked(measures: readonly Measure[], by: Measure | null, most: number, seen: Set<string>): ScoreRow[] {
    const found: ScoreRow[] = [];
    for (const measure of measures) {
      if (found.length >= most) break;
      const ranked = by ?? { ...measure, bench: " " };
      for (const score of store.others({ ...measure, session }, ranked, most - found.length + seen.size)) {
        if (found.length >= most) break;
        if (seen.has(score.group)) continue;
        seen.add(score.group);
        found.push(score);
      }
    }
    return found;
  }
}

/** Experiments that would be one if the project's files had not been changed between their runs. */
function tornApart(
  all: readonly { readonly entry: LeaderboardEntry; readonly experiment: Experiment | null }[],
): LeaderboardEntry[][] {
  const alike = new Map<string, Map<string, LeaderboardEntry>>();
  for (const { entry, experiment } of all) {
    const key = experiment && keyWithoutFiles(experiment);
    if (key === null) continue;
    const those = alike.get(key) ?? new Map<string, LeaderboardEntry>();
    alike.set(key, those.set(entry.view.id, entry)); // an experiment may be listed twice
  }
  return [...alike.values()].flatMap((those) => (those.size > 1 ? [[...those.values()]] : []));
}

/** From 1; equal numbers share a place. */
function placesOf(ranked: readonly ScoreRow[]): number[] {
  let place = 0;
  return ranked.map(({ mean }, index) => {
    if (mean !== ranked[index - 1]?.mean) place = index + 1;
    return place;
  });
}

const nameOf = (store: ExperimentQueries, job: string) => ({ job, description: labelOf(store.experiment(job)) });

/** What is missing of each of these. */
function missingOf(
  store: ExperimentQueries,
  session: string | null,
  scores: readonly ScoreRow[],
): (score: ScoreRow) => Missing | undefined {
  const keyOf = ({ source, bench }: Measure) => `${source} ${bench}`;
  const measures = new Map<string, ScoreRow[]>();
  for (const score of scores) {
    const own = measures.get(keyOf(score));
    if (own) own.push(score);
    else measures.set(keyOf(score), [score]);
  }
  const found = new Map(
    [...measures].flatMap(([key, own]) => {
      const [first] = own;
      const groups = new Map(own.map(({ group, standing }) => [group, standing]));
      return first ? [[key, store.missing({ ...first, session }, groups)] as const] : [];
    }),
  );
  return (score) => found.get(keyOf(score))?.get(score.group);
}

const labelOf = (experiment: Experiment | null): string =>
  experiment === null ? "" : toLabel(experiment.description, experiment.params);

/** The metric asked for; else what a benchmark or a call named last, else what most experiments have. */
function chooseMetric(
  store: ExperimentQueries,
  session: string | null,
  asked: string | undefined,
  known: readonly string[],
): string | null {
  if (asked !== undefined) {
    if (store.measures(session, asked).length > 0) return asked;
    return known.find((one) => one.toLowerCase() === asked.toLowerCase()) ?? null;
  }
  const goal = store.newestGoal(session, null);
  if (goal && store.measures(session, goal.metric).length > 0) return goal.metric;
  const counts = store.usualMetrics(session);
  const most = counts[0]?.n ?? 0;
  // Runs print many metrics equally often. One whose name says what is better is what they are run for, and one of a
  // validation before one of the training.
  const usual = counts.filter(({ n }) => n === most).map(({ metric }) => metric);
  const judged = usual.filter((metric) => guessDirection(metric) !== null && !MEASURES_EFFORT.test(metric));
  return judged.find((metric) => VALIDATES.test(metric)) ?? judged[0] ?? usual[0] ?? null;
}

const VALIDATES = /(^|[^a-z])(val|valid|validation|test|eval|final)([^a-z]|$)/i;
const MEASURES_EFFORT = /time|seconds|latency|duration|memory|bytes|size|cost|_ms$/i;

interface Control {
  readonly score: ScoreRow;
  readonly job: string;
  /** Whether others started from it. */
  readonly isParent: boolean;
}

function findControl(store: ExperimentQueries, field: Field): Control | null {
  // One job that somebody forked says less of what is the control than a name does.
  const named = store.namedControl(field);
  const job = store.commonParent(field, named?.group ?? null);
  const score = job === null ? null : store.scoreOfJob(field, job);
  if (job !== null && score) return { score, job, isParent: true };
  return named && { score: named, job: named.job, isParent: false };
}

/** A snapshot may have been removed since. */
const usableSnapshot = ({ snapshot }: Experiment, pool: Pick<PoolStore, "knowsSnapshot">): string | null =>
  snapshot !== null && pool.knowsSnapshot(snapshot) ? snapshot : null;
