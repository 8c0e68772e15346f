import type { Doing } from "../core/activity.ts";
import type { LivePart } from "../jobs/store/live-store.ts";
import type { Clock } from "../shared/clock.ts";
import { hasEnded } from "../shared/process-identity.ts";
import type { SessionReader, SessionReading } from "./session-reader.ts";

/** What is known from the processes that have a session in use. */
export interface LiveFacts {
  readonly isLive: boolean;
  /** Their limits and problems; of several processes the newest. */
  readonly part: LivePart | null;
  /** undefined = no process says. */
  doing(jobID: string): Doing | undefined;
}

export interface Liveness {
  factsOf(reading: SessionReading, reader: SessionReader): LiveFacts;
  /** Names of the processes that live, by which their end is noticed. */
  alive(reading: SessionReading, reader: SessionReader): readonly string[];
}

/** A process may end at any moment, and looking takes files of the system. */
const LOOK_AGAIN_MS = 1_000;
/** One in another container is alive while it writes. It does so every few seconds while somebody watches. */
const SILENT_MS = 15_000;

export function createLiveness(clock: Pick<Clock, "now">): Liveness {
  const seen = new Map<string, { readonly at: number; readonly ended: boolean | null }>();

  function isAlive(owner: string, reader: SessionReader): boolean {
    const now = clock.now();
    let known = seen.get(owner);
    if (!known || now - known.at >= LOOK_AGAIN_MS) {
      known = { at: now, ended: hasEnded(owner) };
      seen.set(owner, known);
    }
    return known.ended === null ? now - reader.writtenAt(owner) < SILENT_MS : !known.ended;
  }

  /** What jobs did when somebody watched last is not what they do now. */
  function isCurrent(owner: string, reader: SessionReader): boolean {
    const watched = reader.watched();
    return watched !== null && watched.until > clock.now() && reader.writtenAt(owner) >= watched.since;
  }

  const alive = (reading: SessionReading, reader: SessionReader) =>
    reading.parts
      .filter(({ owner }) => isAlive(owner, reader))
      .sort((a, b) => reader.writtenAt(b.owner) - reader.writtenAt(a.owner));

  return {
    factsOf(reading, reader) {
      const parts = alive(reading, reader);
      const current = parts.flatMap(({ owner, part }) => (part && isCurrent(owner, reader) ? [part] : []));
      return {
        isLive: parts.length > 0,
        part: parts.find(({ part }) => part !== null)?.part ?? null,
        doing: (jobID) => current.find(({ jobs }) => jobs.has(jobID))?.jobs.get(jobID),
      };
    },
    alive: (reading, reader) => alive(reading, reader).map(({ owner }) => owner),
  };
}
