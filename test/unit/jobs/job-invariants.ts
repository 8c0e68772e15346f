import { isAllowed, isEnded, isHeld, type Job } from "../../../src/jobs/core/job.ts";
import type { Runtime } from "../../../src/jobs/runtime.ts";
import type { JobChange } from "../../../src/jobs/session/session-jobs.ts";
import { leases, ORCHESTRATOR, type World } from "./runtime-world.ts";

/** Watches every change of every job of a world and collects what breaks the invariants of `src/jobs/core/job.ts`. */
export interface Watchdog {
  /** Follows a lab that has just been opened. */
  follow(runtime: Runtime): Promise<void>;
  /** At a moment when nothing is under way. */
  checkAtRest(): Promise<void>;
  /** When all work should be done. */
  checkAtEnd(): Promise<void>;
}

export function watchJobs(world: World, maxRunningJobs: number): Watchdog {
  const broken: string[] = [];
  /** Since when each queued job waits. Those of the same moment may go in any order. */
  let waiting = new Map<string, number>();
  /** Left by a former process: until it is reached nobody sees such a sandbox end. */
  const leftBehind = new Set<string>();
  const jobs = async () => [...(await world.runtime.sessionJobs(ORCHESTRATOR)).all()];

  function look({ before, job }: JobChange): void {
    const { state, id } = job;
    const from = before?.state;
    if ("leaseID" in state !== isHeld(state)) broken.push(`J1: ${id} is ${state.kind}`);
    if (isHeld(state) && !world.runtime.pool.isLeaseAlive(state.leaseID, world.clock.now())) {
      broken.push(`J1: the lease of ${id} is not held`);
    }
    if (state === from) return;
    if (!isAllowed(before, job)) broken.push(`J2: ${id} went from ${from?.kind} to ${describe(job)}`);
    if (from && isEnded(from) && state.kind !== "queued") {
      broken.push(`J3: ${id} went from ${from.kind} to ${state.kind}`);
    }
    if (state.kind === "running" && (job.childSession === null || job.sandbox.kind !== "live")) {
      broken.push(`J4: ${describe(job)}`);
    }
    if (state.kind === "queued") waiting.set(id, state.since);
    else if (from?.kind === "queued") {
      const passed = [...waiting].filter(([, since]) => since < from.since).map(([one]) => one);
      if (state.kind === "starting" && passed.length > 0) broken.push(`${id} passed ${passed}`);
      waiting.delete(id);
    }
  }

  const throwIfBroken = () => {
    if (broken.length > 0) throw new Error([...broken, ...world.complaints].join("\n"));
  };

  return {
    async follow(runtime) {
      runtime.registry.onChange(look);
      for (const { sandbox } of await jobs()) if (sandbox.kind === "live") leftBehind.add(sandbox.id);
      const queued = (await jobs()).filter(({ state }) => state.kind === "queued");
      waiting = new Map(queued.map(({ id, state }) => [id, state.since]));
    },
    async checkAtRest() {
      const all = await jobs();
      const held = all.filter(({ state }) => isHeld(state));
      if (leases(world.runtime) > maxRunningJobs) broken.push(`${leases(world.runtime)} leases are held`);
      if (held.length > leases(world.runtime)) broken.push(`${held.length} jobs hold ${leases(world.runtime)} leases`);
      for (const job of held) {
        // The loss of a sandbox is recorded before its turn has been stopped.
        const isLiveOrLost = ["live", "gone"].includes(job.sandbox.kind);
        if (job.state.kind === "running" && (job.childSession === null || !isLiveOrLost)) {
          broken.push(`J4: ${describe(job)}`);
        }
      }
      for (const { id, sandbox } of all) {
        if (sandbox.kind === "live" && leftBehind.has(sandbox.id)) continue;
        const stands = world.machine.sandboxes().some((one) => sandbox.kind === "live" && one.id === sandbox.id);
        if (sandbox.kind === "live" && !stands) broken.push(`the live sandbox of ${id} does not exist`);
      }
      throwIfBroken();
    },
    async checkAtEnd() {
      const all = await jobs();
      for (const job of all) {
        const { id, state, sandbox } = job;
        if (!isEnded(state)) broken.push(`${id} is left ${state.kind}`);
        if (isEnded(state) && sandbox.kind === "live") broken.push(`${id} is ${state.kind} and was not parked`);
        const turns = await world.turns(id);
        if (turns.some((turn) => turn.state === "running"))
          broken.push(`${id} has a running turn and is ${state.kind}`);
        if (state.kind === "completed" && turns.some((turn) => turn.state === "queued")) {
          broken.push(`${id} completed without its last message`);
        }
        if (turns.some((turn) => (turn.messageID === null) !== (turn.state === "queued"))) {
          broken.push(`${id} has a turn ${JSON.stringify(turns)}`);
        }
        if (turns.filter((turn) => turn.messageID !== null).length !== job.turns) broken.push(`${id} miscounts turns`);
        if (turns.some(({ position }, index) => position !== index + 1)) broken.push(`${id} misnumbers turns`);
      }
      const owned = new Set(all.flatMap(({ sandbox }) => (sandbox.kind === "live" ? [sandbox.id] : [])));
      for (const { id } of world.machine.sandboxes()) if (!owned.has(id)) broken.push(`sandbox ${id} is nobody's`);
      if (leases(world.runtime) > 0) broken.push("leases are left");
      if (world.sessions.running().length > 0) broken.push("a model is left working");
      for (const { text } of world.sessions.lostPrompts) broken.push(`the prompt "${text}" met a loop not at rest`);
      throwIfBroken();
    },
  };
}

const describe = ({ id, state, sandbox, childSession }: Job): string =>
  `${id} is ${state.kind}, its sandbox ${sandbox.kind}, its session ${childSession}`;
