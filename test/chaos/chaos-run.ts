import { startModalSetup } from "../support/modal-setup.ts";
import { must, startServe } from "../support/opencode.ts";
import { commandsWith, uniqueSeconds } from "../support/sandboxes.ts";
import { say, script } from "../support/scripted.ts";
import { startSetup } from "../support/test-setup.ts";
import { turn } from "../support/turns.ts";
import { until } from "../support/wait.ts";
import {
  type ChaosSetup,
  checkJobs,
  checkNothingIsLeft,
  checkNothingIsLive,
  checkReportedOnce,
  checkWrittenFileIsKept,
  type Findings,
  within,
} from "./checks.ts";
import { drawPlan, firstTurn, type Kill, laterTurn, type Plan } from "./plan.ts";
import { damaged, recorded } from "./state-files.ts";

export type ChaosProvider = "local" | "modal";

export interface ChaosReport extends Readonly<Findings> {
  readonly plan: Plan;
}

/** Plays the plan of a seed: a batch of jobs under an OpenCode that is killed and restarted. Then checks what is left. */
export async function runChaos(seed: number, provider: ChaosProvider): Promise<ChaosReport> {
  const token = uniqueSeconds().replace(/\D/g, "");
  const plan = drawPlan(seed, token);
  const options = { provider, maxRunningJobs: plan.maxRunningJobs, parkAfterSeconds: plan.parkAfterSeconds };
  const setup: ChaosSetup = provider === "modal" ? await startModalSetup(options) : await startSetup(options);
  const findings: Findings = { jobs: 0, states: {}, reportedOnce: 0, orphansRemoved: 0, problems: [] };
  const { problems } = findings;
  try {
    await play(setup, plan, token, findings);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  if (problems.length > 0 && process.env.CHAOS_LOG) await Bun.write(process.env.CHAOS_LOG, setup.server.log());
  await setup.stop().catch((error) => problems.push(`OpenCode did not stop: ${error}`));
  return { plan, ...findings };
}

async function play(setup: ChaosSetup, plan: Plan, token: string, findings: Findings): Promise<void> {
  const { problems } = findings;
  const { stateDir } = setup.home;
  const { id: sessionID } = await setup.server.createSession();
  let next = firstTurn(plan);
  for (const kill of plan.kills) {
    if (kill.creationMs > 0)
      await setup.modal?.faults.add({ method: "SandboxCreateV2", delayMs: kill.creationMs, times: plan.tasks.length });
    await setup.server.promptAsync(sessionID, script(...next, say("done")));
    await killAt(setup, sessionID, kill);
    await setup.modal?.faults.clear();
    if (!setup.modal) await until(() => commandsWith(token).length === 0, within("no command outlives its OpenCode"));
    problems.push(...damaged(stateDir));
    next = laterTurn(plan, recorded(stateDir, sessionID).jobs > 0);
    setup.server = await startServe(setup.home);
  }
  const waited = (await turn(setup.server, sessionID, ...next)).at(-1)?.metadata;
  if (waited?.reason !== "satisfied") problems.push(`agents_wait returned ${waited?.reason}`);
  await checkWrittenFileIsKept(setup, sessionID, plan, findings);
  const jobIDs = await checkJobs(setup, sessionID, plan, findings);
  await checkNothingIsLive(setup, sessionID, token, findings);
  await checkReportedOnce(setup, sessionID, jobIDs, findings);
  for (const error of setup.model.errors) problems.push(`the model got a request it has no script for: ${error}`);
  await checkNothingIsLeft(setup, sessionID, findings);
}

/** Kills OpenCode at the moment that the kill names, or once all work is done. */
async function killAt(setup: ChaosSetup, sessionID: string, { at, afterMs }: Kill): Promise<void> {
  const { server, home, model } = setup;
  const before = server.events.all.length;
  const published = () => server.events.all.length - before;
  const isAsked = () => model.requests.some(({ tools }) => tools.includes("job_report"));
  const isAllDone = async () => {
    const { jobs, undelivered } = recorded(home.stateDir, sessionID);
    return jobs > 0 && undelivered === 0 && !(sessionID in must(await server.client.session.status()));
  };
  let looks = 0;
  const isTime = async () => {
    looks += 1;
    return (at === "asked" ? isAsked() : published() >= at) || (looks % 100 === 0 && (await isAllDone()));
  };
  await until(isTime, { ...within("the moment to kill OpenCode", published), everyMs: 5 });
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await server.kill();
}
