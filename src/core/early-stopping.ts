import { oneLine } from "../shared/plain-text.ts";
import { compareMeans } from "./experiments/noise.ts";
import type { MetricValue, Stopped, StopRule } from "./run-task.ts";
import { LONGEST_NAME, type Point, positionOf } from "./series.ts";

/*
 * Asynchronous successive halving: runs are compared at rungs, and of those that have reached one only a share goes on. No
 * run waits for another, so a run is judged by those that were there before it, and once more, as long as the rung is the
 * highest it has reached, by those that come after it. What it did at a lower rung than that never counts against it: a
 * slow starter that has caught up is not stopped for its start. The best run at the highest rung of all is never stopped,
 * so that one always goes on.
 *
 * @source Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar: "A System for Massively Parallel
 * Hyperparameter Tuning", MLSys 2020, algorithm 2; in its variant that stops runs instead of promoting paused ones.
 */

/** Reason of the end of a run that was stopped. */
export const STOPPED_EARLY = "stopped early";

/** "stopped early at step 30: loss 2.31, the cut was 1.9" */
export function describeStop({ rung, value, cut }: Stopped, metric: string): string {
  const digits = [6, 17].find((count) => shorten(value, count) !== shorten(cut, count)) ?? 6;
  const [lost, best] = [shorten(value, digits), shorten(cut, digits)];
  return `${STOPPED_EARLY} at step ${rung}: ${oneLine(metric, LONGEST_NAME)} ${lost}, the cut was ${best}`;
}

const shorten = (value: MetricValue, digits: number): string =>
  String(typeof value === "number" ? Number(value.toPrecision(digits)) : value);

/** A run among those that have the same rule. */
export interface Entrant {
  readonly id: string;
  /** Of the rule's metric, in the order of the reports. */
  readonly points: readonly Point[];
  /** Whether it can be stopped. A run that has ended counts with its values, unless it failed or was cancelled. */
  readonly isRunning: boolean;
  /** The rung at which it was stopped: later values no longer count. */
  readonly stoppedAt: number | null;
  /** The highest rung at which it was found good enough; null = none yet. */
  readonly passed: number | null;
}

/** @returns the runs to stop now, each with how it lost */
export function decideStops(rule: StopRule, entrants: readonly Entrant[]): ReadonlyMap<string, Stopped> {
  const { direction, keep } = rule;
  const lost = new Map<string, Stopped>();
  const rungs = rungsOf(rule);
  for (const rung of rungs) {
    const there = entrants.flatMap((entrant) => {
      const point = lost.has(entrant.id) || isStoppedBefore(entrant, rung) ? undefined : pointAt(entrant.points, rung);
      return point ? [{ entrant, value: point.value }] : [];
    });
    const ranked = there.map(({ value }) => value).sort((a, b) => compareMeans(a, b, direction));
    const cut = ranked[placesOf(ranked.length, keep) - 1];
    if (cut === undefined) continue;
    for (const { entrant, value } of there) {
      if (!isJudged(entrant, rung, rungs) || compareMeans(value, cut, direction) <= 0) continue;
      lost.set(entrant.id, { rung, value, cut });
    }
  }
  return lost;
}

export const rungsOf = ({ rungs }: StopRule): readonly number[] => [...new Set(rungs)].sort((a, b) => a - b);

/** The highest rung that these points have reached; null = none. */
export const highestRung = (points: readonly Point[], rule: StopRule): number | null =>
  rungsOf(rule).findLast((rung) => pointAt(points, rung) !== undefined) ?? null;

/** Whether two rules are the same, so that their runs are compared. */
export const isSameRule = (a: StopRule, b: StopRule): boolean => keyOf(a) === keyOf(b);

const keyOf = (rule: StopRule): string => JSON.stringify([rule.metric, rule.direction, rule.keep, rungsOf(rule)]);

/** Of the rules of a call's runs those that compare a run with no other. */
export function findLoneRules(rules: readonly StopRule[]): ReadonlySet<StopRule> {
  const counts = new Map<string, number>();
  for (const rule of rules) counts.set(keyOf(rule), (counts.get(keyOf(rule)) ?? 0) + 1);
  return new Set(rules.filter((rule) => counts.get(keyOf(rule)) === 1));
}

/** At rungs that it has just reached, and at the highest one. */
function isJudged({ points, isRunning, stoppedAt, passed }: Entrant, rung: number, rungs: readonly number[]): boolean {
  if (!isRunning || stoppedAt !== null) return false;
  const next = rungs.find((other) => other > rung);
  const isHighest = next === undefined || pointAt(points, next) === undefined;
  return isHighest || passed === null || rung > passed;
}

const isStoppedBefore = ({ stoppedAt }: Entrant, rung: number): boolean => stoppedAt !== null && stoppedAt < rung;

/** The first value at or past a rung, for a run may report seldom. */
const pointAt = (points: readonly Point[], rung: number): Point | undefined =>
  points.find((point) => positionOf(point) >= rung);

/** How many of `n` go on, without the error of binary fractions: of 10 with 0.7 it is 7. */
const placesOf = (n: number, keep: number): number => Math.max(1, Math.ceil(n * keep - 1e-9));
