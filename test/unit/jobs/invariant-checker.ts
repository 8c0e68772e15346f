import { isDeepStrictEqual } from "node:util";
import { isAllowedChange, isEnded, isHeld, type Job, type JobState } from "../../../src/core/job.ts";
import type { Runtime } from "../../../src/jobs/runtime.ts";
import type { JobChange } from "../../../src/jobs/session/session-jobs.ts";
import { leaseCount, ORCHESTRATOR, type World } from "./runtime-world.ts";

/** Checks every change of every job in a world against the invariants of `src/core/job.ts`. */
export interface InvariantChecker {
  /** Starts to check the changes of a runtime that has just been opened. */
  follow(runtime: Runtime): Promise<void>;
  /** Checks a moment at which nothing is in progress. @throws Error naming every violation so far */
  checkAtRest(): Promise<void>;
  /** Checks the moment at which all work should be done. @throws Error naming every violation so far */
  checkAtEnd(): Promise<void>;
}

export function createInvariantChecker(world: World, maxRunningJobs: number): InvariantChecker {
  const violations: string[] = [];
  /** When each queued job entered the queue, epoch ms. Jobs queued at the same moment may start in any order. */
  let waiting = new Map<string, number>();
  /** Sandboxes of a former process: until a job attaches to one again, nobody notices its end. */
  const inherited = new Set<string>();
  const jobs = async () => [...(await world.runtime.sessionJobs(ORCHESTRATOR)).all()];

  function checkChange({ before, job }: JobChange): void {
    const { state, id } = job;
    const from = before?.state;
    if ("leaseID" in state !== isHeld(state)) violations.push(`J1: ${id} is ${state.kind}`);
    if (isHeld(state) && !world.runtime.pool.isLeaseAlive(state.leaseID, world.clock.now())) {
      violations.push(`J1: the lease of ${id} is not held`);
    }
    if (state === from) return;
    if (!isAllowedChange(before, job)) violations.push(`J2: ${id} went from ${from?.kind} to ${describe(job)}`);
    if (from && isEnded(from) && state.kind !== "queued" && !addsLastWords(from, state)) {
      violations.push(`J3: ${id} went from ${from.kind} to ${state.kind}`);
    }
    if (state.kind === "running" && (job.childSession === null || job.sandbox.kind !== "live")) {
      violations.push(`J4: ${describe(job)}`);
    }
    if (state.kind === "queued") waiting.set(id, state.since);
    else if (from?.kind === "queued") {
      const earlier = [...waiting].filter(([, since]) => since < from.since).map(([other]) => other);
      if (state.kind === "starting" && earlier.length > 0) violations.push(`${id} started before ${earlier}`);
      waiting.delete(id);
    }
  }

  const throwIfViolated = () => {
    if (violations.length > 0) throw new Error([...violations, ...world.loggedProblems].join("\n"));
  };

  return {
    async follow(runtime) {
      runtime.registry.onChange(checkChange);
      for (const { sandbox } of await jobs()) if (sandbox.kind === "live") inherited.add(sandbox.id);
      const queued = (await jobs()).filter(({ state }) => state.kind === "queued");
      waiting = new Map(queued.map(({ id, state }) => [id, state.since]));
    },
    async checkAtRest() {
      const all = await jobs();
      const held = all.filter(({ state }) => isHeld(state));
      if (leaseCount(world.runtime) > maxRunningJobs) violations.push(`${leaseCount(world.runtime)} leases are held`);
      if (held.length > leaseCount(world.runtime))
        violations.push(`${held.length} jobs hold ${leaseCount(world.runtime)} leases`);
      for (const job of held) {
        // The loss of a sandbox is recorded before its job's turn is stopped.
        const isLiveOrLost = ["live", "gone"].includes(job.sandbox.kind);
        if (job.state.kind === "running" && (job.childSession === null || !isLiveOrLost)) {
          violations.push(`J4: ${describe(job)}`);
        }
      }
      for (const { id, sandbox, loss } of all) {
        if (sandbox.kind === "live" && inherited.has(sandbox.id)) continue;
        if (loss?.files === null) continue; // it is lost, and stays its job's until its last files are kept
        const exists = world.machine.sandboxes().some((one) => sandbox.kind === "live" && one.id === sandbox.id);
        if (sandbox.kind === "live" && !exists) violations.push(`the live sandbox of ${id} does not exist`);
      }
      throwIfViolated();
    },
    async checkAtEnd() {
      const all = await jobs();
      for (const job of all) {
        const { id, state, sandbox } = job;
        if (!isEnded(state)) violations.push(`${id} is still ${state.kind}`);
        if (isEnded(state) && sandbox.kind === "live") violations.push(`${id} is ${state.kind} and was not parked`);
        const turns = await world.turns(id);
        if (turns.some((turn) => turn.state === "running"))
          violations.push(`${id} has a running turn and is ${state.kind}`);
        if (state.kind === "completed" && turns.some((turn) => turn.state === "queued")) {
          violations.push(`${id} completed without answering its last message`);
        }
        if (turns.some((turn) => (turn.messageID === null) !== (turn.state === "queued"))) {
          violations.push(`${id} has a queued turn with a message id, or the reverse: ${JSON.stringify(turns)}`);
        }
        if (turns.filter((turn) => turn.messageID !== null).length !== job.turns)
          violations.push(`${id} miscounts turns`);
        if (turns.some(({ position }, index) => position !== index + 1)) violations.push(`${id} misnumbers turns`);
      }
      const owned = new Set(all.flatMap(({ sandbox }) => (sandbox.kind === "live" ? [sandbox.id] : [])));
      for (const { id } of world.machine.sandboxes())
        if (!owned.has(id)) violations.push(`sandbox ${id} belongs to no job`);
      if (leaseCount(world.runtime) > 0) violations.push("leases are still held");
      if (world.sessions.running().length > 0) violations.push("a model is still working");
      for (const { text } of world.sessions.lostPrompts)
        violations.push(`the prompt "${text}" was sent to a session that was not at rest`);
      throwIfViolated();
    },
  };
}

/** Whether a cancelled job has only been given what its turn had said when it came to rest. */
const addsLastWords = (from: JobState, to: JobState): boolean =>
  from.kind === "cancelled" && to.kind === "cancelled" && isDeepStrictEqual({ ...from, result: to.result }, to);

const describe = ({ id, state, sandbox, childSession }: Job): string =>
  `${id} is ${state.kind}, its sandbox ${sandbox.kind}, its session ${childSession}`;
