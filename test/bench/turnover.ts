import type { ModelRequest } from "../support/model-server.ts";
import { call, say, script } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { type HostMeter, meter } from "./host-meter.ts";
import { median } from "./stats.ts";

const THINK_MS = 1_000;
const JOBS = 32;
const TOGETHER = 16;
const ROUNDS = 3;

/** What a batch has cost; times in milliseconds. */
interface Turnover {
  /** From a job's last answer to the first request of the job that gets its place: the middle one. */
  readonly gap: number;
  readonly makespan: number;
  readonly cpuPerJob: number;
}

/**
 * Times what lies between jobs: from a job's last answer to the first request of the next one where more are queued than may
 * run, and from the answers of sixteen that end together until their orchestrator is asked with all of them. With OpenCode's
 * own git snapshots, which it takes at every step of every session, and without.
 */
export async function benchTurnover(_rounds: number, jobs = JOBS): Promise<void> {
  const options = { provider: "local", budget: { usdPerSession: null }, parkAfterSeconds: 60 };
  const sides = new Map<string, TestSetup>();
  for (const snapshot of [true, false])
    sides.set(
      snapshot ? "with the host's snapshots" : "without them",
      await startSetup({ ...options, maxRunningJobs: TOGETHER }, { snapshot }),
    );
  const meters = new Map([...sides].map(([name, { server }]) => [name, meter(server.pid)]));
  const queued = new Map<string, Turnover[]>();
  const told = new Map<string, number[]>();
  try {
    for (const setup of sides.values()) await together(setup, 1); // opens the stores
    for (let round = 0; round < ROUNDS; round++)
      for (const [name, setup] of sides) {
        told.set(name, [...(told.get(name) ?? []), await together(setup, TOGETHER)]);
        queued.set(name, [...(queued.get(name) ?? []), await oneAfterAnother(setup, jobs, meters.get(name))]);
      }
  } finally {
    for (const setup of sides.values()) await setup.stop();
    for (const each of meters.values()) await each.stop();
  }
  print(jobs, queued, told);
}

let words = 0;
const newWords = (count: number): string[] =>
  Array.from({ length: count }, () => `turn${String(++words).padStart(5, "0")}`);

/** Starts jobs that each think, run a command, and think. @returns the requests of each job's model */
async function play(
  { server, model }: TestSetup,
  count: number,
): Promise<{ own: ModelRequest[][]; end: ModelRequest }> {
  const marks = newWords(count);
  const from = model.requests.length;
  const tasks = marks.map((word) => ({
    description: word,
    prompt: script(
      { ...call("sandbox_exec", { command: `echo ${word}` }), delayMs: THINK_MS },
      { ...say("done"), delayMs: THINK_MS },
    ),
  }));
  const { id } = await server.createSession();
  await server.prompt(id, script(call("agents_start", { tasks }), call("agents_wait", {}), say("ok")));
  const requests = model.requests.slice(from);
  const own = marks.map((word) =>
    requests.filter(
      ({ tools, messages }) => tools.includes("job_report") && messages.some(({ content }) => content.includes(word)),
    ),
  );
  const end = requests.findLast(({ tools }) => tools.includes("agents_wait"));
  if (!end || own.some(({ length }) => length !== 2)) throw new Error("a job was not asked twice");
  await server.client.session.delete({ sessionID: id });
  return { own, end };
}

const answerOf = (requests: readonly ModelRequest[]): number => Math.max(...requests.map(({ at }) => at)) + THINK_MS;
const firstOf = (requests: readonly ModelRequest[]): number => Math.min(...requests.map(({ at }) => at));

async function together(setup: TestSetup, count: number): Promise<number> {
  const { own, end } = await play(setup, count);
  return end.at - median(own.map(answerOf));
}

async function oneAfterAnother(setup: TestSetup, count: number, host?: HostMeter): Promise<Turnover> {
  const seconds = () => {
    const { own, started } = host?.cpu() ?? { own: 0, started: 0 };
    return own + started;
  };
  const before = seconds();
  const { own, end } = await play(setup, count);
  const answers = own.map(answerOf).sort((a, b) => a - b);
  const firsts = own.map(firstOf).sort((a, b) => a - b);
  // The first that is asked after the places are taken follows the first that has answered.
  const gaps = firsts.slice(TOGETHER).map((at, index) => at - (answers[index] as number));
  return {
    gap: median(gaps),
    makespan: end.at - (firsts[0] as number),
    cpuPerJob: ((seconds() - before) * 1_000) / count,
  };
}

function print(jobs: number, queued: ReadonlyMap<string, Turnover[]>, told: ReadonlyMap<string, number[]>): void {
  const ms = (value: number) => value.toFixed(0).padStart(8);
  console.log(`${TOGETHER} jobs that end together, from the middle one's answer until all are told (ms)`);
  for (const [name, samples] of told) console.log(`  ${name.padEnd(28)}${ms(median(samples))}`);
  console.log(
    `${jobs} jobs of two seconds, ${TOGETHER} at once (ms): from an answer to the next job's first request, all, CPU of a job`,
  );
  for (const [name, samples] of queued) {
    const columns = (["gap", "makespan", "cpuPerJob"] as const).map((key) =>
      ms(median(samples.map((one) => one[key]))),
    );
    console.log(`  ${name.padEnd(28)}${columns.join("")}`);
  }
  console.log("");
}
