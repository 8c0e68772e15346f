import type { Job } from "../../core/job.ts";
import type { OrchestratorSessions } from "../../core/ports.ts";
import type { SessionJobs } from "./session-jobs.ts";

/**
 * Sessions below others: the host's own subagents. All sessions below one of the user's share its jobs file and its
 * budget, so that nothing has to move when a subagent ends. Each sees the jobs that it started, and those of sessions
 * below it that are at rest.
 */
export interface SessionTree {
  /** The session at the top, which keeps the jobs; the session itself where it is not below another. */
  ownerOf(sessionID: string): Promise<string>;
  /** The owner as far as it was asked for before. */
  knownOwnerOf(sessionID: string): string;
  /** The jobs as this session sees them now. @param whole those of its owner */
  seenFrom(sessionID: string, whole: SessionJobs): Promise<SessionJobs>;
  /** Ids of jobs that a subagent at work answers for, so that the owner is not told of them yet. */
  heldBelow(whole: SessionJobs): Promise<ReadonlySet<string>>;
}

/** The session that answers for a job; a run that a job started belongs to whoever started that job. */
function starterOf(whole: SessionJobs, { origin, orchestrator, startedBy }: Job): string {
  const starter = startedBy === null ? undefined : whole.get(startedBy);
  return starter ? starterOf(whole, starter) : (origin?.sessionID ?? orchestrator);
}

export function createSessionTree(host: Pick<OrchestratorSessions, "parentOf" | "atWork">): SessionTree {
  /** From each session up to the top; parents never change. */
  const lines = new Map<string, readonly string[]>();

  async function lineOf(sessionID: string): Promise<readonly string[]> {
    const known = lines.get(sessionID);
    if (known) return known;
    const parent = await host.parentOf(sessionID);
    const line = parent === null ? [sessionID] : [sessionID, ...(await lineOf(parent))];
    lines.set(sessionID, line);
    return line;
  }

  /** By session that started jobs: its line, and the session that answers for them now. */
  async function placesOf(whole: SessionJobs) {
    const owner = whole.orchestrator;
    const starters = [...new Set(whole.all().map((job) => starterOf(whole, job)))].filter(
      (starter) => starter !== owner,
    );
    const busy = starters.length === 0 ? new Set<string>() : await host.atWork().catch(() => new Set<string>());
    const placed = starters.map(async (starter) => {
      const line = await lineOf(starter).catch(() => [starter, owner]); // deleted meanwhile
      return [starter, { line, holder: line.find((one) => busy.has(one)) ?? owner }] as const;
    });
    return new Map(await Promise.all(placed));
  }

  return {
    ownerOf: async (sessionID) => (await lineOf(sessionID)).at(-1) ?? sessionID,
    knownOwnerOf: (sessionID) => lines.get(sessionID)?.at(-1) ?? sessionID,
    async seenFrom(sessionID, whole) {
      if (whole.all().every((job) => starterOf(whole, job) === sessionID)) return whole; // the usual case: nothing to ask
      const places = await placesOf(whole);
      const isOwner = sessionID === whole.orchestrator;
      if (isOwner && places.size === 0) return whole;
      const isListed = (job: Job) => {
        const starter = starterOf(whole, job);
        return starter === sessionID || (places.get(starter)?.holder ?? whole.orchestrator) === sessionID;
      };
      const isReachable = (job: Job) => {
        const starter = starterOf(whole, job);
        return isOwner || starter === sessionID || places.get(starter)?.line.includes(sessionID) === true;
      };
      return {
        ...whole,
        all: () => whole.all().filter(isListed),
        get(jobID) {
          const job = whole.get(jobID);
          return job && isReachable(job) ? job : undefined;
        },
      };
    },
    async heldBelow(whole) {
      const places = await placesOf(whole);
      const isHeld = (job: Job) =>
        (places.get(starterOf(whole, job))?.holder ?? whole.orchestrator) !== whole.orchestrator;
      return new Set(
        whole
          .all()
          .filter(isHeld)
          .map(({ id }) => id),
      );
    },
  };
}
