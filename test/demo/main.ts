import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { probeIsolation } from "../../src/sandboxes/local/probe.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalServerProcess } from "../support/modal-server/own-process.ts";
import { startModelServer } from "../support/model-server.ts";
import { type OpencodeServer, startServe } from "../support/opencode.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { Board } from "./board.ts";
import { renderLeaderboard } from "./leaderboard.ts";
import { LiveScreen } from "./live-screen.ts";
import { demoModel, PROMPT } from "./model.ts";
import { APPROACHES, CAP_BYTES, REFINEMENTS } from "./plan.ts";

/*
 * Pocket parameter golf in the real OpenCode, offline: a scripted model delegates, and real jobs train real models in
 * real sandboxes.
 *   --model provider/model  your own model plays, with your own OpenCode configuration
 *   --modal-server          the jobs run through the Modal adapter, against the tests' stand-in on this machine
 *   --quick                 trains for two seconds, on the beginning of the text only
 */

const { values } = parseArgs({
  options: { model: { type: "string" }, "modal-server": { type: "boolean" }, quick: { type: "boolean" } },
});
const FLAGS = values.quick ? "--train-bytes 30000 --val-bytes 4000 --seconds 2" : "";
const JOBS = APPROACHES.length + REFINEMENTS.length;
const SKILLS = fileURLToPath(new URL("skills", import.meta.url));

if (values["modal-server"] && !canIsolate()) {
  console.log(
    "--modal-server needs bubblewrap: the stand-in for Modal isolates its sandboxes with it. Install bubblewrap, or leave --modal-server out.",
  );
  process.exit(1);
}
const modal = values["modal-server"] ? await startModalServerProcess() : null;
const where = modal === null ? { local: { isolation: await chooseIsolation() } } : { provider: "modal" };
const model = await startModelServer(demoModel("node", FLAGS));
const home = createHome({
  modelUrl: model.url,
  plugins: [[PACKAGE, { parkAfterSeconds: 0, ...where }]],
  config: { skills: { paths: [SKILLS] } },
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
  const completed = board.jobs().filter(({ state }) => state === "completed").length;
  console.log(`\n${renderLeaderboard(board.leaderboardRows(), { capBytes: CAP_BYTES, colour: process.stdout.isTTY })}`);
  console.log(`${completed} of ${JOBS} jobs completed. Lower val_bpb (bits per byte of unseen text) is better.`);
  console.log(`Their sandboxes: ${[...new Set(board.jobs().map(({ provider }) => provider))].join(", ")}.`);
  const last = (await client.session.messages({ sessionID: session.id })).data?.at(-1);
  if (last?.info.role === "assistant" && last.info.error)
    console.log(`The main agent failed: ${JSON.stringify(last.info.error)}`);
  return completed === JOBS;
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

/** The user's own OpenCode, with the plugin and the demo's skill added for this run, in a temporary project. */
async function usersHome(temporary: OpencodeHome): Promise<OpencodeHome> {
  const added = {
    plugin: [[PACKAGE, { ...where, stateDir: join(temporary.root, "state") }]],
    skills: { paths: [SKILLS] },
  };
  return {
    ...temporary,
    env: { ...(process.env as Record<string, string>), OPENCODE_CONFIG_CONTENT: JSON.stringify(added) },
  };
}
