import type { ModelReply } from "../support/model-server.ts";
import { call, say, script } from "../support/scripted.ts";
import { message, shell, start, task, wait } from "../support/turns.ts";

export interface Kill {
  /**
   * When OpenCode is killed: after its server has published so many events since the session was prompted, or once the model
   * of a job was asked, whose sandbox may still be in the making.
   */
  readonly at: number | "asked";
  /** How long after that. */
  readonly afterMs: number;
  /** How much longer than usual Modal takes until then for a sandbox. */
  readonly creationMs: number;
}

/** Everything in a run that is random, drawn from its seed. */
export interface Plan {
  readonly seed: number;
  readonly kills: readonly Kill[];
  readonly maxRunningJobs: number;
  readonly parkAfterSeconds: number;
  readonly tasks: readonly ReturnType<typeof task>[];
  /** Position of the job that gets a further turn after all have ended. */
  readonly askedAgain: number;
}

/** Returns a random integer, 0 ≤ n < limit. */
type Draw = (limit: number) => number;

/** Events of a whole batch on an idle machine. A kill drawn beyond the last event happens once all work is done. */
const WHOLE_BATCH_EVENTS = 450;
/** Events of the work that is left after a first kill. */
const REST_EVENTS = 250;
/** Time in which a local sandbox is usually there, and its first command runs. */
const EARLY_MS = 1_000;

/** @param token digits that are part of every command of the run */
export function drawPlan(seed: number, token: string): Plan {
  const draw = drawsOf(seed);
  const kill = (events: number): Kill => ({ at: 1 + draw(events), afterMs: draw(60), creationMs: 0 });
  const first = kill(WHOLE_BATCH_EVENTS);
  const others = draw(3) === 0 ? [kill(REST_EVENTS)] : [];
  const drawn = {
    seed,
    maxRunningJobs: 2 + draw(5),
    parkAfterSeconds: draw(2),
    tasks: drawTasks(draw, token),
    askedAgain: draw(6),
  };
  const isEarly = draw(4) === 0;
  const early: Kill = { at: "asked", afterMs: draw(EARLY_MS), creationMs: draw(2 * EARLY_MS) };
  return { ...drawn, kills: [isEarly ? early : first, ...others] };
}

function drawTasks(draw: Draw, token: string): Plan["tasks"] {
  const sleep = (): ModelReply => shell(`sleep ${draw(2)}.${draw(9)}${token}`);
  const write = (word: string): ModelReply => shell(`echo ${word} > word; echo wrote ${word}; : ${token}`);
  const snapshot = call("sandbox_snapshot", {});
  const report = call("job_report", { status: "half", metrics: { loss: 0.5 }, step: 1 });
  const ends = (word: string) => say(`result ${word}`);
  return [
    task("plain", write("plain"), ends("plain")),
    task("says", ends("says")),
    task("keeps", write("keeps"), snapshot, ends("keeps")),
    task("sleeps", write("sleeps"), sleep(), sleep(), ends("sleeps")),
    task("reports", write("reports"), report, sleep(), report, ends("reports")),
    task("longest", sleep(), write("longest"), snapshot, sleep(), sleep(), ends("longest")),
  ];
}

/** The orchestrator's first turn: starts a batch, messages the first job once two have ended, and waits for all. */
export const firstTurn = ({ tasks }: Plan): ModelReply[] => [
  start(...tasks),
  wait({ until: 2 }),
  message("$job1", script(shell("cat word"), say("result more"))),
  wait(),
];

/** Its turn after a restart: waits for its jobs, or starts them if the kill came before that. */
export const laterTurn = ({ tasks }: Plan, hasJobs: boolean): ModelReply[] =>
  hasJobs ? [wait()] : [start(...tasks), wait()];

/** Draws that are the same for the same seed (mulberry32). */
function drawsOf(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** The seed and its draws in one line. */
export const describePlan = ({ seed, kills, maxRunningJobs, parkAfterSeconds }: Plan): string =>
  `seed ${seed}: ${maxRunningJobs} at once, parked after ${parkAfterSeconds} s, killed at ${kills
    .map(({ at, afterMs }) => `${at === "asked" ? "the first request of a job" : `event ${at}`} + ${afterMs} ms`)
    .join(" and ")}`;
