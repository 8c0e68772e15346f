import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isBurstHolder } from "../../src/core/burst.ts";
import type { Job } from "../../src/core/job.ts";
import type { Runtime } from "../../src/jobs/runtime.ts";
import { openSessionStore, sessionFile } from "../../src/jobs/store/session-store.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { until } from "../support/wait.ts";
import { ORCHESTRATOR } from "../unit/jobs/runtime-world.ts";
import {
  type BurstPlace,
  type BurstProcess,
  COMMAND,
  GPU,
  inSandbox,
  newDriver,
  openBurstRuntime,
  providerOf,
} from "./burst-process.ts";

/* Kills the process of a command on a GPU at a step of it, and says what the next process makes of what it left. */

/** Steps of `burst-main.ts` in the order of a command, each in words. */
export const BURST_STEPS: readonly (readonly [words: string, step: string])[] = [
  ["before it has GPUs", "after job waiting"],
  ["once it has them", "after pool acquireLease"],
  ["while the job's files are copied", "before snapshot"],
  ["before that copy is recorded", "after snapshot"],
  ["while its sandbox is made", "during create gpu"],
  ["before its sandbox is recorded", "after create gpu"],
  ["while it runs", "after start gpu command"],
  ["while what it changed is packed", "after start gpu pack"],
  ["while that is unpacked", "after start own unpack"],
  ["before that is put in place", "before start own put in place"],
  ["while that is put in place", "after start own put in place"],
  ["before that is recorded", "before job idle with a sandbox that costs"],
  ["while its GPUs wait for the next one", "lingering"],
  ["once its sandbox has ended", "after terminate gpu"],
];

export interface BurstKill {
  /** Steps of the killed process, each after its moment; the last one killed it. */
  readonly steps: readonly string[];
  /** Whether its files are the command's, or the job's from before it; "mixed" is wrong. */
  readonly files: "new" | "old" | "mixed";
  /** What the job's agent is told of the command. */
  readonly told: string;
  /** What is wrong, one sentence each. */
  readonly problems: readonly string[];
}

const MAIN = join(import.meta.dirname, "burst-main.ts");
const OLD = "./a old|./b old|./d/gone old";
const NEW = "./a new|./b new|./d/e/c new";
const LIST = `find . -type f | sort | while read -r f; do echo "$f $(cat "$f")"; done | tr '\\n' '|'`;

export async function playBurstKill(name: BurstPlace["name"], killAt: string): Promise<BurstKill> {
  const driver = newDriver();
  const stateDir = mkdtempSync(join(tmpdir(), "burst-kill-"));
  const place = { name, stateDir, driver: driver.root };
  const log = join(stateDir, "steps");
  try {
    const child = spawn(process.execPath, [MAIN, JSON.stringify({ place, killAt, log } satisfies BurstProcess)], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [code, signal] = await once(child, "exit");
    const steps = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
    if (signal !== "SIGKILL") return { steps, files: "old", told: "", problems: [`it ended with ${code ?? signal}`] };
    return { steps, ...(await takeUp(place, steps)) };
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
    driver.remove();
  }
}

async function takeUp(place: BurstPlace, steps: readonly string[]): Promise<Omit<BurstKill, "steps">> {
  const openedAt = Date.now();
  const { runtime, sessions, provider } = await openBurstRuntime(place, { lingerSeconds: 0 });
  try {
    // OpenCode keeps the session, with a turn that nobody has ended.
    const store = await openSessionStore(sessionFile(place.stateDir, ORCHESTRATOR));
    const [before] = store.jobs();
    const [turn] = store.turns(before?.id ?? "");
    store.close();
    const sessionID = await sessions.create({} as never);
    await sessions.prompt({ sessionID, messageID: turn?.messageID ?? "", text: "hang" } as never);
    await sessions.abort(sessionID);
    await until(() => sessions.running().length === 0, { what: "the session rests" });

    const sessionJobs = await runtime.sessionJobs(ORCHESTRATOR);
    const id = before?.id as string;
    await until(() => sessions.prompts.length > 1, { what: "the job goes on", seen: () => sessionJobs.get(id)?.state });
    const { failures } = await runtime.collectGarbage();
    const listed = await inSandbox(runtime.lifecycle.live(id) as Sandbox, LIST);
    const files = listed === `${OLD}|` ? "old" : listed === `${NEW}|` ? "new" : "mixed";
    const told = sessions.prompts.at(-1)?.text ?? "";
    const job = sessionJobs.get(id) as Job;
    const problems = [
      ...failures,
      ...(files === "mixed" ? [`its files are ${listed}`] : []),
      ...(await leftOf(runtime, provider, job)),
      ...(place.name === "modal" ? wrongMoney(runtime, job, steps, openedAt) : []),
      ...wrongWords(told, files, before ?? null),
    ];
    return { files, told, problems };
  } finally {
    await runtime.suspend();
    const after = providerOf(place);
    await Promise.all((await after.list()).map(({ id }) => after.terminate(id)));
    await after.close();
  }
}

async function leftOf(runtime: Runtime, provider: SandboxProvider, job: Job): Promise<string[]> {
  const left = (await provider.list()).filter(({ tags }) => tags.burst !== undefined);
  const { leases, queue } = runtime.pool.poolState(Date.now());
  const { used } = runtime.scheduler.counts().gpus.total as { used: number };
  return [
    ...left.map(({ id }) => `the sandbox ${id} with a GPU is left`),
    ...[...leases, ...queue].flatMap(({ jobID }) => (isBurstHolder(jobID) ? [`${jobID} holds or waits for GPUs`] : [])),
    ...(used > 0 ? [`${used} GPUs count as used`] : []),
    ...(job.burst || job.compute.burst ? [`the job has a burst still: ${JSON.stringify(job.burst)}`] : []),
  ];
}

/** What is settled of the job's cost is the GPU's: its own sandbox is the same all the time. */
function wrongMoney(runtime: Runtime, job: Job, steps: readonly string[], openedAt: number): string[] {
  const at = (step: string) => Number(steps.find((line) => line.endsWith(` ${step}`))?.split(" ", 1)[0] ?? Number.NaN);
  const perMs = runtime.limits.rates(job, GPU.modal).most / 3_600_000;
  const paidMs = job.compute.usd / perMs;
  const madeAt = at("after create gpu");
  const endingAt = at("before terminate gpu");
  const least = Number.isNaN(madeAt) ? 0 : (Number.isNaN(endingAt) ? openedAt : endingAt) - madeAt;
  const most = Number.isNaN(at("before create gpu")) ? 0 : Date.now() - at("before create gpu");
  return paidMs >= least - 50 && paidMs <= most + 50
    ? []
    : [`the GPU is counted for ${Math.round(paidMs)} ms, which should be ${least} to ${most}`];
}

function wrongWords(told: string, files: BurstKill["files"], before: Job | null): string[] {
  const saysAgain = told.includes("run it again");
  const saysBack = told.includes("had come back; its output is lost");
  const burst = before?.burst ?? null;
  if (!told.startsWith("OpenCode ended")) return [`it is told: ${told}`];
  if (burst === null || burst.doing === "idle")
    return saysAgain || saysBack ? [`it is told without need: ${told}`] : [];
  if (!told.includes(COMMAND)) return [`the command is not named: ${told}`];
  return saysAgain === (files === "old") && saysBack === (files === "new")
    ? []
    : [`its files are ${files}, but it is told: ${told}`];
}
