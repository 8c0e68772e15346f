import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../../src/core/job.ts";
import { ranFrom } from "../bench/ran.ts";
import { type SlotUse, slotUse } from "../bench/slots.ts";
import { startServe } from "../support/opencode.ts";
import { call, say, script } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";
import { campaignCommand, crashes } from "./campaign.ts";
import { damaged, recordsIn } from "./state-files.ts";

export interface ReplayOptions {
  readonly runs: number;
  readonly slots: number;
  /** Real milliseconds for a second of the campaign. */
  readonly secondMs: number;
  readonly reuse: boolean;
}

export interface ReplayReport {
  readonly use: SlotUse;
  /** Runs whose command began again because the host was killed. */
  readonly begunAgain: number;
  /** Seconds from the kill to the first command after it. */
  readonly outageSecs: number;
  /** What is not as it should be: lost, doubled or unrecorded experiments. */
  readonly problems: readonly string[];
}

const LIMIT_MS = 30 * 60_000;

/** Plays a recorded campaign on local sandboxes, kills the host once half of it has ended, and starts it again. */
export async function replay({ runs, slots, secondMs, reuse }: ReplayOptions): Promise<ReplayReport> {
  const setup = await startSetup({
    provider: "local",
    maxRunningJobs: slots,
    maxRunsPerCall: runs,
    environments: { default: { workspace: "project" } },
    budget: { usdPerSession: null },
    parkAfterSeconds: 60,
  });
  try {
    const { id: sessionID } = await setup.server.createSession();
    const numbers = Array.from({ length: runs }, (_, n) => n);
    const task = { description: "experiment", command: campaignCommand(secondMs), matrix: { N: numbers }, reuse };
    await setup.server.promptAsync(sessionID, script(call("agents_start", { tasks: [task] }), wait(), say("done")));
    const jobs = () => recordsIn<Job>(join(setup.home.stateDir, "sessions", `${sessionID}.db`), "jobs");
    const ended = () => jobs().filter(({ state }) => state.kind === "completed" || state.kind === "failed");
    await until(() => ended().length >= runs / 2, {
      what: "half of the runs have ended",
      timeoutMs: LIMIT_MS,
      everyMs: 250,
    });
    await setup.server.kill();
    const killedAt = Date.now();
    const cutOff = jobs().flatMap(({ state }) =>
      state.kind === "running" ? [{ from: state.since, to: killedAt }] : [],
    );
    setup.server = await startServe(setup.home);
    const waits = script(wait({ timeout_seconds: 14_400 }), say("done"));
    await setup.server.prompt(sessionID, waits, { limitMs: LIMIT_MS });
    await until(() => ended().length >= runs, { what: "all runs have ended", timeoutMs: LIMIT_MS, everyMs: 250 });
    const all = jobs();
    const commands = all.flatMap(({ state }) => ranFrom("result" in state ? (state.result ?? "") : ""));
    const firstAfter = Math.min(...commands.filter(({ from }) => from > killedAt).map(({ from }) => from));
    const use = slotUse([...commands, ...cutOff], slots, [{ from: killedAt, to: firstAfter }]);
    const begunAgain = all.filter(({ attempts }) => attempts > 1).length;
    const problems = [...problemsOf(all, runs), ...(await ledgerProblems(setup, sessionID, runs))];
    return { use, begunAgain, outageSecs: (firstAfter - killedAt) / 1000, problems };
  } finally {
    await setup.stop();
  }
}

/** Every number has one experiment, which ended as its command does. */
function problemsOf(jobs: readonly Job[], runs: number): string[] {
  return Array.from({ length: runs }, (_, n) => n).flatMap((n) => {
    const found = jobs.filter(({ task }) => task.run?.params.N === n);
    const [job] = found;
    if (!job || found.length !== 1) return [`number ${n} has ${found.length} runs`];
    const { state } = job;
    const code = state.kind === "failed" ? state.failure.code : null;
    const isRight = crashes(n) ? code === "command_failed" && job.exitCode === 1 : state.kind === "completed";
    const tries = "result" in state ? [...(state.result ?? "").matchAll(/^ran/gm)].length : 0;
    if (!isRight) return [`number ${n} ended as ${JSON.stringify(state).slice(0, 300)}`];
    return tries === 2 ? [] : [`the output of number ${n} is not of one try: ${JSON.stringify(state).slice(0, 300)}`];
  });
}

/** The project's database has every experiment once, with its end and its number. */
async function ledgerProblems({ home, server }: TestSetup, sessionID: string, runs: number): Promise<string[]> {
  interface Recorded {
    readonly params: { readonly N?: number };
    readonly standing: string;
    readonly results: readonly unknown[];
  }
  const folder = join(home.stateDir, "projects");
  const read = () =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".db"))
      .flatMap((name) => recordsIn<Recorded>(join(folder, name), "experiments"));
  const problems: string[] = [];
  const isComplete = () => {
    const found = read();
    const numbers = new Set(found.map(({ params }) => params.N));
    problems.length = 0;
    if (found.length !== runs || numbers.size !== runs)
      problems.push(`the ledger has ${found.length} experiments with ${numbers.size} numbers, of ${runs}`);
    for (const { params, standing, results } of found) {
      const expected = crashes(Number(params.N)) ? ["failed", 0] : ["final", 1];
      if (standing !== expected[0] || results.length !== expected[1])
        problems.push(`the ledger has number ${params.N} as ${standing} with ${results.length} results`);
    }
    return problems.length === 0;
  };
  await until(isComplete, { what: "the ledger is complete", timeoutMs: 20_000 }).catch(() => {});
  const [listed] = await turn(server, sessionID, call("experiments_list", { metric: "val_bpb", direction: "min" }));
  if (!listed?.output.includes("val_bpb")) problems.push(`experiments_list says: ${listed?.output.slice(0, 300)}`);
  return [...problems, ...damaged(home.stateDir)];
}
