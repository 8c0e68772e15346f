import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isEnded, type JobStateKind } from "../../src/core/job.ts";
import { ERROR_CODES } from "../../src/shared/error-code.ts";
import type { JobView } from "../../src/views/job-view.ts";
import type { ModalSetup } from "../support/modal-setup.ts";
import { commandsWith } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { PACKAGE, type TestSetup } from "../support/test-setup.ts";
import { ask, message, outputsOf, shell, status, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";
import type { Plan } from "./plan.ts";
import { damaged, liveSandboxes, poolRows, recorded } from "./state-files.ts";

/* What must hold after OpenCode was killed. Each check adds a sentence to `findings.problems` for what does not. */

export type ChaosSetup = TestSetup & { readonly modal?: ModalSetup["modal"] };

/** What a run has shown so far. */
export interface Findings {
  jobs: number;
  /** Number of jobs by the state they ended in. */
  states: Record<string, number>;
  /** Ends of jobs that were reported to the orchestrator exactly once. */
  reportedOnce: number;
  /** Sandboxes and snapshots, including unfinished ones, that kills left behind and that garbage collection removed. */
  orphansRemoved: number;
  /** Broken promises, one sentence each; empty when every promise was kept. */
  problems: string[];
}

/** Far longer than anything takes, even on a busy machine. */
const LIMIT_MS = 240_000;

export const within = (what: string, seen?: () => unknown) => ({
  what,
  timeoutMs: LIMIT_MS,
  everyMs: 250,
  ...(seen && { seen }),
});

/** Every task has become a job, and every job has ended in a state and with a code of the contract. Returns their ids. */
export async function checkJobs(setup: ChaosSetup, sessionID: string, plan: Plan, findings: Findings) {
  const { jobs } = (await ask(setup.server, sessionID, status())).metadata;
  findings.jobs = jobs.length;
  for (const job of jobs) {
    findings.states[job.state] = (findings.states[job.state] ?? 0) + 1;
    if (!hasEnded(job)) findings.problems.push(`a job has not ended: ${JSON.stringify(job)}`);
  }
  if (jobs.length !== plan.tasks.length) findings.problems.push(`${jobs.length} jobs for ${plan.tasks.length} tasks`);
  return jobs.map(({ id }) => id);
}

const hasEnded = ({ state, error }: JobView): boolean =>
  isEnded({ kind: state as JobStateKind } as never) &&
  (state !== "failed" || (ERROR_CODES as readonly string[]).includes(error?.code ?? ""));

/** Gives one job a further turn: a file that one of its commands wrote before the kills is still there. */
export async function checkWrittenFileIsKept(setup: ChaosSetup, sessionID: string, plan: Plan, findings: Findings) {
  const { jobs } = (await ask(setup.server, sessionID, status())).metadata;
  const job = jobs[plan.askedAgain];
  if (!job) return;
  const outputs = job.sessionID ? await completedOutputs(setup, job) : [];
  const hasWritten = outputs.some((text) => text.includes("wrote "));
  const again = script(shell("cat word || echo none"), say("result again"));
  await turn(setup.server, sessionID, message(job.id, again), wait());
  // Not asked for by name: that would show its result once more.
  const view = (await ask(setup.server, sessionID, status())).metadata.jobs.find(({ id }) => id === job.id);
  if (view?.state !== "completed") {
    findings.problems.push(`a further turn of a job did not complete: ${JSON.stringify(view)}`);
    return;
  }
  const read = (await outputsOf(setup.server, view, "sandbox_exec").catch(() => completedOutputs(setup, view))).at(-1);
  if (hasWritten && read !== `${job.description}\n[exit code 0]`)
    findings.problems.push(`${job.id} lost the file it wrote: ${read}`);
}

async function completedOutputs(setup: ChaosSetup, job: JobView): Promise<string[]> {
  const parts = await setup.server.toolParts(job.sessionID as string, "sandbox_exec");
  return parts.flatMap(({ state }) => (state.status === "completed" ? state.output : []));
}

/** Every job is parked: no sandbox, command, lease or place in the queue remains. */
export async function checkNothingIsLive(setup: ChaosSetup, sessionID: string, token: string, { problems }: Findings) {
  const { stateDir } = setup.home;
  let left: unknown[] = [];
  const isNothingLive = async () => {
    const live = liveSandboxes(stateDir, sessionID);
    left = [...live, ...commandsWith(token), ...poolRows(stateDir, ["leases", "queue"])];
    return left.length === 0;
  };
  await until(isNothingLive, within("every job is parked")).catch(() =>
    problems.push(`still live: ${JSON.stringify(left)}`),
  );
}

/**
 * The orchestrator's model is shown every end of a job exactly once: one block for each end, at least one for each job,
 * and no two blocks with the same result of the same job.
 */
export async function checkReportedOnce(
  setup: ChaosSetup,
  sessionID: string,
  jobIDs: readonly string[],
  findings: Findings,
) {
  const { stateDir } = setup.home;
  const areDelivered = () => recorded(stateDir, sessionID).undelivered === 0;
  await until(areDelivered, within("every end is reported")).catch((error) => findings.problems.push(error.message));
  await setup.server.whenIdle(sessionID, LIMIT_MS);
  await setup.server.prompt(sessionID, script(say("done")));
  const shown = JSON.stringify(setup.model.requests.at(-1)?.messages.map(({ content }) => content));
  const blocks = [...shown.matchAll(/<job id=\\+"(job_\w+)\\+" state=\\+"(\w+)\\+">(.*?)<\/job>/g)].map(
    ([, id = "", state = "", text = ""]) => ({ id, end: `${state} ${text.match(/result \w+/g)?.join(" and ")}` }),
  );
  const { notices } = recorded(stateDir, sessionID);
  const problems: string[] = [];
  if (blocks.length !== notices) problems.push(`jobs ended ${notices} times, and ${blocks.length} ends were reported`);
  for (const id of jobIDs) {
    const ends = blocks.filter((block) => block.id === id).map(({ end }) => end);
    if (ends.length === 0) problems.push(`the end of ${id} was not reported`);
    if (new Set(ends).size < ends.length) problems.push(`${id} was reported twice: ${ends.join(", ")}`);
  }
  if (problems.length === 0) findings.reportedOnce += blocks.length;
  findings.problems.push(...problems);
}

/** Deleting the session removes what its jobs had, stopping OpenCode ends its processes, and `gc` removes the rest. */
export async function checkNothingIsLeft(setup: ChaosSetup, sessionID: string, findings: Findings) {
  const { stateDir, root } = setup.home;
  const { problems } = findings;
  await setup.server.client.session.delete({ sessionID });
  let left: unknown[] = [];
  const isSessionGone = () => {
    left = [...poolRows(stateDir, ["leases", "queue", "snapshots"]), ...entries(join(stateDir, "sessions"))];
    return left.length === 0;
  };
  await until(isSessionGone, within("nothing is left of the session")).catch(() =>
    problems.push(`left of the deleted session: ${JSON.stringify(left)}`),
  );
  await setup.server.stop();
  await until(
    () => commandsWith(root).length === 0,
    within("no process is left", () => commandsWith(root)),
  ).catch((error) => problems.push(error.message));
  problems.push(...damaged(stateDir));
  const orphans = await remaining(setup);
  problems.push(...collectGarbage(setup).failures);
  for (const one of await remaining(setup)) problems.push(`left after garbage collection: ${one}`);
  problems.push(...damaged(stateDir));
  findings.orphansRemoved = orphans.length;
}

/** Everything that takes disk space or costs money: records of the pool, sandboxes, snapshots. */
async function remaining({ modal, home }: ChaosSetup): Promise<string[]> {
  const rows = poolRows(home.stateDir, ["leases", "queue", "snapshots", "sandboxes"]);
  if (modal) return [...rows, ...(await modal.sandboxes({ live: true })).map(({ id }) => id)];
  const files = ["sandboxes", "snapshots"].flatMap((kind) => entries(join(home.stateDir, "local", kind)));
  return [...rows, ...files];
}

/** Runs `gc` as a user does, from the package as npm installs it. */
function collectGarbage({ home }: ChaosSetup): { failures: string[] } {
  const env = { ...home.env, PATH: `${PACKAGE}/node_modules/.bin:${home.env.PATH}` };
  const args = ["gc", "--state-dir", home.stateDir, "--json"];
  const { status, stdout, stderr } = spawnSync(join(PACKAGE, "dist/cli/main.js"), args, { cwd: home.root, env });
  if (status !== 0) return { failures: [`gc ended with ${status}: ${stdout}${stderr}`] };
  return JSON.parse(stdout.toString());
}

const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
