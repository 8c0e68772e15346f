import type { ProviderName } from "../config/provider-names.ts";
import type { Failure } from "../shared/error-code.ts";
import { hasExpired, isDue } from "./snapshot-expiry.ts";

/*
 * An environment whose set-up has run: a snapshot that its jobs start from. All that is recorded of it is one record by its
 * content, which every process changes in one transaction. E1: there is one build at a time, and only it records an image.
 * E2: a failed build keeps the last good image. E3: what failed is tried again by jobs queued after the failure, not by those
 * that waited for it.
 */

/** The project's files in an image, of which later trees are sent as a difference. */
export interface ImageTree {
  readonly commit: string;
  readonly emptyFolders: readonly string[];
  readonly form: "repository" | "files";
  /** Who commits in it. */
  readonly identity: { readonly name: string; readonly email: string };
}

export interface EnvironmentImage {
  readonly snapshotID: string;
  readonly provider: ProviderName;
  /** null = its environment starts without the project's files, or there is no project. */
  readonly tree: ImageTree | null;
  readonly builtAt: number;
  /** When the provider deletes it, epoch ms; null = never, or it is not known. */
  readonly expiresAt: number | null;
  /** How long its build took, and what it cost. */
  readonly tookMs: number;
  readonly usd: number;
  /** What jobs should know of it, one sentence each. */
  readonly notes: readonly string[];
}

/** A build under way. */
export interface EnvironmentBuild {
  readonly id: string;
  /** The process that builds. */
  readonly owner: string;
  readonly since: number;
  /** When its process last said that it goes on. */
  readonly renewedAt: number;
  /** null = it has none yet, or no more. */
  readonly sandboxID: string | null;
  /** Which of its commands runs, from 1 on; 0 = none yet. */
  readonly step: number;
  readonly of: number;
  /** The command that runs. */
  readonly command: string;
}

export interface BuildFailure {
  readonly at: number;
  readonly failure: Failure;
}

/** All that is recorded of an environment's content. */
export interface EnvironmentRecord {
  readonly image: EnvironmentImage | null;
  /** The image before that one, from which a job may just be starting. */
  readonly former: EnvironmentImage | null;
  /** How the newest build failed; null = it did not. */
  readonly failed: BuildFailure | null;
  readonly build: EnvironmentBuild | null;
}

export const NOTHING_BUILT: EnvironmentRecord = { image: null, former: null, failed: null, build: null };

/** A build that was not renewed for this long belongs to a dead process. */
const BUILD_TTL_MS = 30_000;
export const BUILD_RENEW_MS = 5_000;

/** @param isDead whether the process of this name is known to have ended */
export const isUnderWay = (
  build: EnvironmentBuild | null,
  now: number,
  isDead: (owner: string) => boolean,
): build is EnvironmentBuild =>
  build !== null && Math.abs(now - build.renewedAt) < BUILD_TTL_MS && !isDead(build.owner); // a clock may be set back

/** Whether the sandbox is one in which a build goes on: while it creates one, that is not named yet. */
export const isBuildingIn = (
  { build }: EnvironmentRecord,
  sandboxID: string,
  { now, isDead }: Pick<EnvironmentFacts, "now" | "isDead">,
): boolean => isUnderWay(build, now, isDead) && (build.sandboxID === null || build.sandboxID === sandboxID);

export interface EnvironmentFacts {
  readonly now: number;
  readonly isDead: (owner: string) => boolean;
  readonly refreshMs: number;
}

/** What a job that needs an environment does. `use`: `refresh` = a new image is to be built meanwhile. */
export type EnvironmentDecision =
  | { readonly kind: "use"; readonly image: EnvironmentImage; readonly refresh: boolean }
  | { readonly kind: "build" }
  | { readonly kind: "wait"; readonly build: EnvironmentBuild }
  | { readonly kind: "fail"; readonly failure: Failure };

/** @param queuedAt since when the job waits to be started, epoch ms */
export function decideEnvironment(
  { image, failed, build }: EnvironmentRecord,
  { now, isDead, refreshMs }: EnvironmentFacts,
  queuedAt: number,
): EnvironmentDecision {
  const isBuilding = isUnderWay(build, now, isDead);
  if (image && !hasExpired(image, now)) {
    const isOld = isStale(image, now, refreshMs);
    // After a failure as much time passes as after a success, or each job would pay for another failing build.
    const mayTry = failed === null || hasPassed(failed.at, refreshMs, now);
    return { kind: "use", image, refresh: isOld && mayTry && !isBuilding };
  }
  if (isBuilding) return { kind: "wait", build };
  const waitedForIt = failed !== null && queuedAt <= failed.at && failed.at <= now;
  return waitedForIt ? { kind: "fail", failure: failed.failure } : { kind: "build" }; // E3
}

/** Whether so much time has passed. A time in the future is from before the clock was set back: how long ago nobody knows. */
const hasPassed = (at: number, ms: number, now: number): boolean => at > now || now - at >= ms;

const isStale = (image: EnvironmentImage, now: number, refreshMs: number): boolean =>
  hasPassed(image.builtAt, refreshMs, now) || isDue({ createdAt: image.builtAt, expiresAt: image.expiresAt }, now);

/** `unbuilt`: the next job that uses it builds it first. */
export type EnvironmentState = "ready" | "building" | "stale" | "failed" | "unbuilt";

export function stateOf(record: EnvironmentRecord, { now, isDead, refreshMs }: EnvironmentFacts): EnvironmentState {
  if (isUnderWay(record.build, now, isDead)) return "building";
  const image = record.image && !hasExpired(record.image, now) ? record.image : null;
  if (image === null) return record.failed ? "failed" : "unbuilt";
  return record.failed || isStale(image, now, refreshMs) ? "stale" : "ready";
}

/** The record once a build has ended; null = the build is not the recorded one any more, so nothing of it counts (E1). */
export function afterBuild(
  record: EnvironmentRecord,
  buildID: string,
  result: { readonly image: EnvironmentImage } | { readonly failed: BuildFailure } | null,
): EnvironmentRecord | null {
  if (record.build?.id !== buildID) return null;
  if (result === null) return { ...record, build: null };
  if ("failed" in result) return { ...record, build: null, failed: result.failed }; // E2
  return { image: result.image, former: record.image, failed: null, build: null };
}

/** One use of an environment's content. A slot is an environment's name in one project, at one provider. */
export interface EnvironmentUse {
  readonly key: string;
  readonly slot: string;
  readonly owner: string;
  readonly usedAt: number;
}

/** How long an image is kept that no process uses. */
const UNUSED_MS = 7 * 24 * 60 * 60_000;

/**
 * The contents that nobody needs: no living process uses them, and each of their slots has another one by now, or has not
 * been used for a week.
 */
export function unneededContents(
  keys: readonly string[],
  uses: readonly EnvironmentUse[],
  { now, isDead }: Pick<EnvironmentFacts, "now" | "isDead">,
): string[] {
  const newest = new Map<string, EnvironmentUse>();
  for (const use of uses) {
    const known = newest.get(use.slot);
    if (!known || known.usedAt <= use.usedAt) newest.set(use.slot, use);
  }
  const isNeeded = (use: EnvironmentUse): boolean => {
    const isCurrent = newest.get(use.slot)?.key === use.key;
    return now - use.usedAt < UNUSED_MS && (isCurrent || !isDead(use.owner));
  };
  const needed = new Set(uses.filter(isNeeded).map(({ key }) => key));
  return keys.filter((key) => !needed.has(key));
}
