import { existsSync } from "node:fs";
import { join } from "node:path";
import { mark } from "../core/experiments/experiment.ts";
import type { Clock } from "../shared/clock.ts";
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from "../shared/private-files.ts";
import type { TrackedRun, TrackedValue } from "./runs.ts";

/** How far a tracker has got, in the state directory: what was sent is not sent again. */
export interface Sent {
  of(job: string): SentRun | null;
  /** The id of what the tracker has the project in. If it was another one, nothing counts as sent. */
  isIn(experiment: string): void;
  forgetAll(): void;
  /** @throws where nothing can be kept: then nothing is to be sent, or it would be sent twice */
  prepare(): void;
  /** Written within a second of the next ones, as all runs are written each time. */
  save(job: string, run: SentRun): void;
  /** Writes what is not yet written, so that what is sent after an error is only the rest. */
  close(): void;
}

/** After a kill, what was sent in this time is sent again. */
const WRITE_EVERY_MS = 1_000;

export interface SentRun {
  /** Its id at the tracker. */
  readonly id: string;
  /** By key, the newest value that it has. */
  readonly newest: Readonly<Record<string, readonly [at: number, report: number]>>;
  /** The state that it was told. */
  readonly state: string;
  /** Mark of the facts that it was told; absent: none, or by an earlier version. */
  readonly facts?: string;
}

/** What sending a run has come to. */
export interface SentNow {
  /** Values that the tracker did not have. */
  readonly values: number;
  /** Whether anything was sent. */
  readonly isNews: boolean;
  /** Whether the tracker has no place for it, as it has no values. */
  readonly isLeftOut: boolean;
}

/**
 * @param place the tracker and the project there, without credentials
 * @param isAgain whether nothing counts as sent
 */
export function openSent(
  stateDir: string,
  place: readonly string[],
  { isAgain, clock }: { readonly isAgain: boolean; readonly clock: Pick<Clock, "now"> },
): Sent {
  const folder = join(stateDir, "exports");
  const path = join(folder, `${mark(place)}.json`);
  const kept = parse(existsSync(path) && !isAgain ? readPrivateFile(path) : null);
  const runs = new Map(kept.runs);
  let { experiment } = kept;
  let [writtenAt, isWritten] = [Number.NEGATIVE_INFINITY, false];
  const write = () => {
    ensurePrivateFolder(folder);
    writePrivateFile(path, JSON.stringify({ version: 1, place, experiment, runs: [...runs] }));
    [writtenAt, isWritten] = [clock.now(), true];
  };
  return {
    of: (job) => runs.get(job) ?? null,
    isIn(id) {
      if (experiment !== id) runs.clear();
      experiment = id;
    },
    forgetAll: () => runs.clear(),
    prepare: write,
    save(job, run) {
      runs.set(job, run);
      isWritten = false;
      if (Math.abs(clock.now() - writtenAt) >= WRITE_EVERY_MS) write();
    },
    close() {
      if (!isWritten) write();
    },
  };
}

/** What cannot be read counts as nothing: trackers take what they have already without doubling it, but for the note in their own files. */
function parse(text: string | null): {
  readonly runs: readonly [string, SentRun][];
  readonly experiment: string | null;
} {
  try {
    const { runs, experiment = null } = JSON.parse(text ?? "") as { runs: [string, SentRun][]; experiment?: string };
    return {
      experiment,
      runs: runs.filter(
        ([job, run]) => typeof job === "string" && typeof run.id === "string" && typeof run.newest === "object",
      ),
    };
  } catch {
    return { runs: [], experiment: null };
  }
}

export const unsent = ({ values }: TrackedRun, sent: SentRun | null): TrackedValue[] =>
  values.filter(({ key, at, report }) => {
    const last = sent && Object.hasOwn(sent.newest, key) ? sent.newest[key] : undefined;
    return last === undefined || at > last[0] || (at === last[0] && report > last[1]);
  });

/** Whether the value is the newest of its key that the tracker has. */
export const isNewest = ({ key, at, report }: TrackedValue, { newest }: SentRun): boolean =>
  Object.hasOwn(newest, key) && newest[key]?.[0] === at && newest[key][1] === report;

export const withSent = (run: SentRun, values: readonly TrackedValue[]): SentRun => ({
  ...run,
  newest: { ...run.newest, ...Object.fromEntries(values.map(({ key, at, report }) => [key, [at, report] as const])) },
});
