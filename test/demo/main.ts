import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { gatherReport } from "../../src/cli/gather-report.ts";
import { writeReport } from "../../src/cli/report-file.ts";
import { leastDifference } from "../../src/core/experiments/noise.ts";
import { openLab } from "../../src/lab/open-lab.ts";
import { renderPage } from "../../src/report/html/page.ts";
import { probeIsolation } from "../../src/sandboxes/local/probe.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import type { JobView } from "../../src/views/job-view.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalServerProcess } from "../support/modal-server/own-process.ts";
import { startModelServer } from "../support/model-server.ts";
import { type OpencodeServer, startServe } from "../support/opencode.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { Board } from "./board.ts";
import { formatBpb, renderLeaderboard } from "./leaderboard.ts";
import { LiveScreen } from "./live-screen.ts";
import { demoModel, PROMPT } from "./model.ts";
import { CONTROL, PROJECT } from "./plan.ts";

/*
 * Pocket parameter golf in the real OpenCode, offline: a scripted model leads a small research campaign, and real jobs
 * train and measure real models in real sandboxes.
 *   --model provider/model  your own model plays, with your own OpenCode configuration
 *   --modal-server          the jobs run through the Modal adapter, against the tests' stand-in on this machine
 */

const { values } = parseArgs({
  options: { model: { type: "string" }, "modal-server": { type: "boolean" } },
});

if (values["modal-server"] && !canIsolate()) {
  console.log(
    "--modal-server needs bubblewrap: the stand-in for Modal isolates its sandboxes with it. Install bubblewrap, or leave --modal-server out.",
  );
  process.exit(1);
}
const modal = values["modal-server"] ? await startModalServerProcess() : null;
const where = modal === null ? { local: { isolation: await chooseIsolation() } } : { provider: "modal" };
const model = await startModelServer(demoModel);
const home = createHome({
  modelUrl: model.url,
  plugins: [[PACKAGE, { parkAfterSeconds: 0, ...where }]],
  files: projectFiles(),
});
let server: OpencodeServer | null = null;
try {
  const played = values.model === undefined ? home : await usersHome(home);
  server = await startServe(played, { env: { ...modal?.env } });
  process.exitCode = (await play(server)) ? 0 : 1;
} finally {
  await server?.stop();
  await home.remove();
  await model.stop();
  await modal?.stop();
}

async function play({ client, createSession, promptAsync, events }: OpencodeServer): Promise<boolean> {
  const board = new Board();
  const screen = new LiveScreen(process.stdout);
  const session = await createSession({ title: "pocket parameter golf" });
  await promptAsync(session.id, PROMPT, values.model === undefined ? {} : { model: values.model });
  let processed = 0;
  const draw = () => {
    for (; processed < events.all.length; processed++) board.read(events.all[processed] as never);
    screen.update(board.liveRows(process.stdout.isTTY === true));
  };
  const drawing = setInterval(draw, 250);
  const isOver = ({ type, properties }: { type: string; properties: object }) =>
    type === "session.idle" && (properties as { sessionID?: string }).sessionID === session.id;
  await events.waitFor(isOver, { what: "the main agent has ended its turn", timeoutMs: 2 * 60 * 60_000 });
  clearInterval(drawing);
  draw();
  screen.freeze();
  const jobs = board.jobs();
  const { experiments, noise } = board.experiments() ?? { experiments: [], noise: null };
  console.log(`\n${renderLeaderboard(experiments, { control: CONTROL.description, colour: process.stdout.isTTY })}`);
  console.log("val_bpb: bits per byte of unseen text, lower is better; mean ± deviation over seeds.");
  if (noise) console.log(`Noise floor: ${formatBpb(noise.value)}, from ${noise.n} measurements (${noise.source}).`);
  if (noise?.source === "seeds")
    console.log(`Means of three seeds differ by more than noise from ${formatBpb(leastDifference(noise, 3, 3))} on.`);
  const claims = board.claims();
  for (const { name, reported, measured } of claims)
    console.log(`"${name}" reported ${formatBpb(reported)}; measured clean it is ${formatBpb(measured)}.`);
  const count = (isIt: (job: JobView) => boolean): number => jobs.filter(isIt).length;
  const early = count(({ stopped }) => stopped !== undefined);
  const failed = count(({ state }) => state === "failed");
  const agents = count(({ kind }) => kind === "agent");
  console.log(
    `${jobs.length} jobs: ${agents} agents, ${jobs.length - agents} runs; ${early} stopped early, ${failed} failed.`,
  );
  console.log(`Their sandboxes: ${[...new Set(jobs.map(({ provider }) => provider))].join(", ")}.`);
  console.log(`The report of it: ${await writeDemoReport(session.id)}`);
  const last = (await client.session.messages({ sessionID: session.id })).data?.at(-1);
  if (last?.info.role === "assistant" && last.info.error)
    console.log(`The main agent failed: ${JSON.stringify(last.info.error)}`);
  return failed === 0 && early > 0 && claims.length > 0 && experiments.some(({ verdict }) => verdict === "better");
}

/** Beside the demo's own folder, which is removed at its end. */
async function writeDemoReport(session: string): Promise<string> {
  const stateDir = values.model === undefined ? home.stateDir : join(home.root, "state");
  const lab = await openLab({ stateDir, clock: systemClock });
  try {
    const name = `parallel-agents-report-${session}.html`;
    return writeReport(tmpdir(), name, renderPage(gatherReport(lab, session, null)));
  } finally {
    lab.close();
  }
}

/** Isolated where the machine can isolate; elsewhere the demo runs its own fixed commands without isolation, and says so. */
async function chooseIsolation(): Promise<string> {
  const rootDir = await mkdtemp(join(tmpdir(), "demo-"));
  const ids = () => randomId("x").slice(2);
  const probe = await probeIsolation({ rootDir, isolation: "auto", clock: systemClock, log: () => {}, ids });
  await rm(rootDir, { recursive: true, force: true });
  if (probe.works) return "auto";
  const why = probe.refused.map((one) => `${one.kind}: ${one.why}`).join("; ");
  if (values.model !== undefined)
    throw new Error(
      `The demo does not run a real model without isolation, and no sandbox can be isolated on this machine: ${why}`,
    );
  console.log(
    `No sandbox can be isolated on this machine (${why}). The demo runs its own fixed commands without isolation.`,
  );
  return "none";
}

function projectFiles(): Record<string, string> {
  const paths = readdirSync(PROJECT, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? join(relative(PROJECT, entry.parentPath), entry.name) : [],
  );
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(PROJECT, path), "utf8")]));
}

/** The user's own OpenCode, with the plugin added for this run, in a temporary project. */
async function usersHome(temporary: OpencodeHome): Promise<OpencodeHome> {
  const added = {
    plugin: [[PACKAGE, { ...where, stateDir: join(temporary.root, "state") }]],
  };
  return {
    ...temporary,
    env: { ...(process.env as Record<string, string>), OPENCODE_CONFIG_CONTENT: JSON.stringify(added) },
  };
}
