import type { Job } from "../job.ts";
import type { Standing } from "./experiment.ts";
import type { Verdict } from "./noise.ts";

/*
 * What an experiment's number says nothing of: of three seeds of which two diverged, the mean is that of the one that did
 * not. So what became of the others stands beside it.
 */

/** What became of a measurement that brought no value. `completed`: it ended well, without one. */
export type Fate = "failed" | "stopped" | "cancelled" | "running" | "completed";

/** Measurements of an experiment without a value that counts, by what became of them. */
export type Missing = Readonly<Partial<Record<Fate, number>>>;

/** A job of an experiment, or a repeat of a benchmark of one. */
export interface Member {
  /** null = it has none. */
  readonly seed: string | null;
  /** Names the call that started it. */
  readonly call: string | null;
  readonly standing: Standing;
  readonly state: Job["state"]["kind"];
  /** Whether its value is among those that make the experiment's number. */
  readonly isCounted: boolean;
}

/**
 * Of members with the same seed the newest decides, unless one of them counts. One without a seed is made up for by what a
 * later call started.
 * @param members newest first
 * @param isMeasured whether the number is a benchmark's, which measures jobs that were chosen for it: others that completed
 * lack nothing
 */
export function missingOf(members: readonly Member[], isMeasured: boolean): Missing {
  const known = new Set(members.flatMap(({ seed, isCounted }) => (isCounted && seed !== null ? [seed] : [])));
  const missing: Partial<Record<Fate, number>> = {};
  for (const member of members) {
    const { seed, call, isCounted } = member;
    const fate = fateOf(member);
    if (isCounted || (fate === "completed" && isMeasured)) continue;
    if (seed === null && fate !== "running" && call !== members[0]?.call) continue;
    if (seed !== null && known.has(seed)) continue;
    if (seed !== null) known.add(seed);
    missing[fate] = (missing[fate] ?? 0) + 1;
  }
  return missing;
}

export function addMissing(one: Missing, other: Missing = {}): Missing {
  const fates = [...Object.keys(one), ...Object.keys(other)] as Fate[];
  return Object.fromEntries(fates.map((fate) => [fate, (one[fate] ?? 0) + (other[fate] ?? 0)]));
}

function fateOf({ standing, state }: Pick<Member, "standing" | "state">): Fate {
  if (standing === "running" || standing === "stopped") return standing;
  if (state === "cancelled") return "cancelled";
  return standing === "failed" ? "failed" : "completed";
}

const FATES: Readonly<Record<Fate, string>> = {
  failed: "failed",
  stopped: "stopped early",
  cancelled: "cancelled",
  running: "running",
  completed: "without a number",
};

const countMissing = (missing: Missing): number => Object.values(missing).reduce((sum, n) => sum + n, 0);

export const isComplete = (missing: Missing | undefined): boolean =>
  missing === undefined || countMissing(missing) === 0;

/** How many measurements an experiment's number is of, with those that are missing: `1 of 3 (2 failed)`. */
export function countText({ n, missing = {} }: { readonly n: number; readonly missing?: Missing }): string {
  return isComplete(missing) ? String(n) : `${n} of ${n + countMissing(missing)} (${missingText(missing)})`;
}

/** What became of those that are missing: `2 failed, 1 running`; empty where none is. */
export const missingText = (missing: Missing = {}): string =>
  Object.entries(FATES)
    .flatMap(([fate, words]) => {
      const count = missing[fate as Fate] ?? 0;
      return count === 0 ? [] : [`${count} ${words}`];
    })
    .join(", ");

/**
 * Whether a verdict may be wrong because what is missing would have been worse: it makes an experiment look better than it
 * is, and what is compared with it look worse.
 */
export const isInDoubt = (verdict: Verdict | null, own: Missing | undefined, reference: Missing | undefined): boolean =>
  (verdict === "better" && !isComplete(own)) || (verdict === "worse" && !isComplete(reference));
