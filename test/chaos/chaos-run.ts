import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isEnded, type JobStateKind } from "../../src/jobs/core/job.ts";
import { ERROR_CODES } from "../../src/shared/error-code.ts";
import type { JobView } from "../../src/views/job-view.ts";
import { type ModalSetup, startModalSetup } from "../support/modal-setup.ts";
import { must, startServe } from "../support/opencode.ts";
import { commandsWith, uniqueSeconds } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { PACKAGE, startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, message, outputsOf, shell, status, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";
import { drawPlan, firstTurn, type Kill, laterTurn, type Plan } from "./plan.ts";
import { damaged, liveSandboxes, poolRows, recorded } from "./state-files.ts";

export type ChaosProvider = "local" | "modal";

export interface ChaosReport {
  readonly plan: Plan;
  readonly jobs: number;
  /** How many ended in each way. */
  readonly states: Readonly<Record<string, number>>;
  readonly toldOnce: number;
  /** Sandboxes and snapshots, half made ones too, that kills had left behind and that sweeps removed. */
  readonly swept: number;
  /** What does not hold; empty when all does. */
  readonly problems: readonly string[];
}

/** Far more than anything takes on a busy machine. */
const LIMIT_MS = 240_000;

type Setup = TestSetup & { readonly modal?: ModalSetup["modal"] };

/** Plays the plan of a seed: a batch of jobs under an OpenCode that is killed and started again, and what is left. */
export async function runChaos(seed: number, provider: ChaosProvider): Promise<ChaosReport> {
  const token = uniqueSeconds().replace(/\D/g, "");
  const plan = drawPlan(seed, token);
  const options = { provider, maxRunningJobs: plan.maxRunningJobs, parkAfterSeconds: plan.parkAfterSeconds };
  const setup: Setup = provider === "modal" ? await startModalSetup(options) : await startSetup(options);
  const found = { jobs: 0, states: {} as Record<string, number>, toldOnce: 0, swept: 0, problems: [] as string[] };
  try {
    await play(setup, plan, token, found);
  } catch (error) {
    found.problems.push(error instanceof Error ? error.message : String(error));
  }
  if (found.problems.length > 0 && process.env.CHAOS_LOG) await Bun.write(process.env.CHAOS_LOG, setup.server.log());
  await setup.stop().catch((error) => found.problems.push(`it did not stop: ${error}`));
  return { plan, ...found };
}

type Found = { jobs: number; states: Record<string, number>; toldOnce: number; swept: number; problems: string[] };

async function play(setup: Setup, plan: Plan, token: string, found: Found): Promise<void> {
  const { stateDir } = setup.home;
  const { id: sessionID } = await setup.server.createSession();
  let next = firstTurn(plan);
  for (const kill of plan.kills) {
    await setup.server.promptAsync(sessionID, script(...next, say("done")));
    await killAt(setup, sessionID, kill);
    if (!setup.modal) await until(() => commandsWith(token).length === 0, within("no command outlives its OpenCode"));
    found.problems.push(...damaged(stateDir));
    next = laterTurn(plan, recorded(stateDir, sessionID).jobs > 0);
    setup.server = await startServe(setup.home);
  }
  const ended = (await turn(setup.server, sessionID, ...next)).at(-1)?.metadata;
  if (ended?.reason !== "satisfied") found.problems.push(`agents_wait said ${ended?.reason}`);
  await askAgain(setup, sessionID, plan, found);

  const { jobs } = (await ask(setup.server, sessionID, status())).metadata;
  found.jobs = jobs.length;
  for (const job of jobs) found.states[job.state] = (found.states[job.state] ?? 0) + 1;
  found.problems.push(...jobs.filter((job) => !hasEnded(job)).map((job) => `it has not ended: ${JSON.stringify(job)}`));
  if (jobs.length !== plan.tasks.length) found.problems.push(`${jobs.length} jobs for ${plan.tasks.length} tasks`);

  await nothingLives(setup, sessionID, token, found);
  const jobIDs = jobs.map(({ id }) => id);
  await countTold(setup, sessionID, jobIDs, found);
  for (const error of setup.model.errors) found.problems.push(`the model was asked what it cannot answer: ${error}`);
  await endsWithItsSession(setup, sessionID, found);
}

const within = (what: string, seen?: () => unknown) => ({
  what,
  timeoutMs: LIMIT_MS,
  everyMs: 250,
  ...(seen && { seen }),
});

/** Kills OpenCode when so much has happened, or when nothing more does. */
async function killAt(setup: Setup, sessionID: string, { events, afterMs }: Kill): Promise<void> {
  const { server, home } = setup;
  const since = server.events.all.length;
  const isOver = async () => {
    const { jobs, undelivered } = recorded(home.stateDir, sessionID);
    return jobs > 0 && undelivered === 0 && !(sessionID in must(await server.client.session.status()));
  };
  let looks = 0;
  const isTime = async () => {
    looks += 1;
    return server.events.all.length - since >= events || (looks % 100 === 0 && (await isOver()));
  };
  await until(isTime, { ...within("the moment to kill it", () => server.events.all.length - since), everyMs: 5 });
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await server.kill();
}

const hasEnded = ({ state, error }: JobView): boolean =>
  isEnded({ kind: state as JobStateKind } as never) &&
  (state !== "failed" || (ERROR_CODES as readonly string[]).includes(error?.code ?? ""));

/** A further turn of one of the jobs: what a command said to have written before the kills is still there. */
async function askAgain(setup: Setup, sessionID: string, { askedAgain }: Plan, found: Found): Promise<void> {
  const { jobs } = (await ask(setup.server, sessionID, status())).metadata;
  const job = jobs[askedAgain];
  if (!job) return;
  const saysWrote = job.sessionID
    ? (await completedOutputs(setup, job)).some((text) => text.includes("wrote "))
    : false;
  const again = script(shell("cat word || echo none"), say("result again"));
  await turn(setup.server, sessionID, message(job.id, again), wait());
  const [view] = (await ask(setup.server, sessionID, status(job.id))).metadata.jobs;
  if (view?.state !== "completed") {
    found.problems.push(`asked again, it did not complete: ${JSON.stringify(view)}`);
    return;
  }
  const read = (await outputsOf(setup.server, view, "sandbox_exec").catch(() => completedOutputs(setup, view))).at(-1);
  const wanted = saysWrote ? `${job.description}\n[exit code 0]` : null;
  if (wanted !== null && read !== wanted) found.problems.push(`${job.id} lost what it wrote: ${read}`);
}

async function completedOutputs(setup: Setup, job: JobView): Promise<string[]> {
  const parts = await setup.server.toolParts(job.sessionID as string, "sandbox_exec");
  return parts.flatMap(({ state }) => (state.status === "completed" ? state.output : []));
}

/** All jobs are parked: none has a sandbox, a command or a lease. */
async function nothingLives(setup: Setup, sessionID: string, token: string, found: Found): Promise<void> {
  const { stateDir } = setup.home;
  let left: unknown[] = [];
  const isGone = async () => {
    const live = liveSandboxes(stateDir, sessionID);
    left = [...live, ...commandsWith(token), ...poolRows(stateDir, ["leases", "queue"])];
    return left.length === 0;
  };
  await until(isGone, within("no sandbox is left")).catch(() => found.problems.push(`left: ${JSON.stringify(left)}`));
}

/** Everything of the session that takes room or costs money, wherever it is recorded or stands. */
async function unterminated({ modal, home }: Setup): Promise<string[]> {
  const rows = poolRows(home.stateDir, ["leases", "queue", "snapshots", "sandboxes"]);
  if (modal) return [...rows, ...(await modal.sandboxes({ live: true })).map(({ id }) => id)];
  const files = ["sandboxes", "snapshots"].flatMap((kind) => entries(join(home.stateDir, "local", kind)));
  return [...rows, ...files];
}

/** The user's own way to do it, as npm installs it. */
async function collectGarbage({ home }: Setup): Promise<{ failures: string[] }> {
  const env = { ...home.env, PATH: `${PACKAGE}/node_modules/.bin:${home.env.PATH}` };
  const args = ["gc", "--state-dir", home.stateDir, "--json"];
  const { status, stdout, stderr } = spawnSync(join(PACKAGE, "dist/cli/main.js"), args, { cwd: home.root, env });
  if (status !== 0) return { failures: [`gc ended with ${status}: ${stdout}${stderr}`] };
  return JSON.parse(stdout.toString());
}

/**
 * Every end of a job stands once in what the orchestrator's model is shown: as many blocks as there were ends, at least
 * one of each job, and no two that show the same result of the same job.
 */
async function countTold(setup: Setup, sessionID: string, jobIDs: readonly string[], found: Found): Promise<void> {
  const { stateDir } = setup.home;
  const isDelivered = () => recorded(stateDir, sessionID).undelivered === 0;
  await until(isDelivered, within("every end is told")).catch((error) => found.problems.push(error.message));
  await setup.server.whenIdle(sessionID, LIMIT_MS);
  await setup.server.prompt(sessionID, script(say("done")));
  const shown = JSON.stringify(setup.model.requests.at(-1)?.messages.map(({ content }) => content));
  const told = [...shown.matchAll(/<job id=\\+"(job_\w+)\\+" state=\\+"(\w+)\\+">(.*?)<\/job>/g)].map(
    ([, id = "", state = "", text = ""]) => ({ id, end: `${state} ${text.match(/result \w+/g)?.join(" and ")}` }),
  );
  const { notices } = recorded(stateDir, sessionID);
  const problems: string[] = [];
  if (told.length !== notices) problems.push(`jobs ended ${notices} times and ${told.length} ends are told`);
  for (const id of jobIDs) {
    const ends = told.filter((one) => one.id === id).map(({ end }) => end);
    if (ends.length === 0) problems.push(`${id} ended and is not told`);
    if (new Set(ends).size < ends.length) problems.push(`${id} is told twice: ${ends.join(", ")}`);
  }
  if (problems.length === 0) found.toldOnce += told.length;
  found.problems.push(...problems);
}

/** Deleting the session ends what its jobs had; stopping OpenCode ends the rest. */
async function endsWithItsSession(setup: Setup, sessionID: string, found: Found): Promise<void> {
  const { stateDir, root } = setup.home;
  await setup.server.client.session.delete({ sessionID });
  let left: unknown[] = [];
  const isGone = () => {
    left = [...poolRows(stateDir, ["leases", "queue", "snapshots"]), ...entries(join(stateDir, "sessions"))];
    return left.length === 0;
  };
  await until(isGone, within("nothing is left of the session")).catch(() =>
    found.problems.push(`left of the deleted session: ${JSON.stringify(left)}`),
  );
  await setup.server.stop();
  await until(
    () => commandsWith(root).length === 0,
    within("no process is left", () => commandsWith(root)),
  ).catch((error) => found.problems.push(error.message));
  found.problems.push(...damaged(stateDir));
  const strays = await unterminated(setup);
  const swept = await collectGarbage(setup);
  found.problems.push(
    ...swept.failures,
    ...(await unterminated(setup)).map((stray) => `left after the sweep: ${stray}`),
  );
  found.problems.push(...damaged(stateDir));
  found.swept = strays.length;
}

const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
