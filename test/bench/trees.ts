import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { canIsolate } from "../support/modal-server/machine.ts";
import { canOverlay } from "../support/modal-server/overlay.ts";
import { creations, type ModalSetup, startModalSetup } from "../support/modal-setup.ts";
import { say } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";
import { alternate, report } from "./stats.ts";

const JOBS = 8;
const FILES = 10_000;
const FILE_BYTES = 5 * 1024;
const OPTIONS = { environments: { default: { workspace: "project" }, bare: {} }, parkAfterSeconds: 600 };
const NOW = "date +%s%N";

/**
 * Times from the call that starts jobs to the first command of the last of them. The project has not been sent to a sandbox
 * before, and OpenCode has run a job before.
 */
export async function benchTrees(rounds: number): Promise<void> {
  const files = Object.fromEntries(Array.from({ length: FILES }, (_, n) => [`many/${n % 100}/${n}.txt`, textOf(n)]));
  const open: TestSetup[] = [];
  const local: Place = async () => {
    const setup = await startSetup({ ...OPTIONS, provider: "local" }, { files });
    open.push(setup);
    const snapshots = join(setup.home.stateDir, "local/snapshots");
    return { setup, countMade: () => (existsSync(snapshots) ? readdirSync(snapshots).length : 0), madePerJob: 0 };
  };
  const modal: Place = async () => {
    const setup: ModalSetup = await startModalSetup(OPTIONS, { files, server: { overlay: true } });
    open.push(setup);
    return { setup, countMade: async () => (await creations(setup.modal)).length, madePerJob: 1 };
  };
  try {
    const few = Math.ceil(rounds / 3);
    for (const [name, place] of [["local", local] as const, ["Modal", modal] as const]) {
      if (name === "Modal" && !(canIsolate() && canOverlay())) continue;
      const [eight, one] = await alternate(
        few,
        () => measure(place, JOBS),
        () => measure(place, 1),
      );
      report(
        `${name}: to the first command, in a tree of ${FILES} files and ${(FILES * FILE_BYTES) >> 20} MiB, sent once`,
        { name: `of all of ${JOBS} jobs`, samples: eight },
        { name: "of a single job", samples: one },
      );
    }
  } finally {
    // Not earlier: for a while after many files are removed, a file system creates files slowly.
    for (const setup of open) await setup.stop();
  }
}

type Place = () => Promise<{
  readonly setup: TestSetup;
  /** Counts snapshots or sandboxes: one for each time the project is sent, and `madePerJob` for each job. */
  readonly countMade: () => number | Promise<number>;
  readonly madePerJob: number;
}>;

async function measure(place: Place, jobs: number): Promise<number> {
  const { setup, countMade, madePerJob } = await place();
  setup.home.git("repack", "-a", "-d", "--quiet");
  const session = await setup.server.createSession();
  await turn(
    setup.server,
    session.id,
    start({ ...task("warms up", shell(NOW), say("done")), environment: "bare" }),
    wait(),
  );
  const before = await countMade();
  const tasks = Array.from({ length: jobs }, (_, n) => task(`job ${n}`, shell(NOW), say("done")));
  const [answer, waited] = await turn(setup.server, session.id, start(...tasks), wait());
  const ids = new Set(answer?.metadata.jobs.map(({ id }) => id));
  const started = (await setup.server.toolParts(session.id, "agents_start")).at(-1);
  if (started?.state.status !== "completed") throw new Error("agents_start failed");
  const outputs = await Promise.all(
    (waited?.metadata.finished ?? [])
      .filter(({ id }) => ids.has(id))
      .map((job) => outputsOf(setup.server, job, "sandbox_exec")),
  );
  const times = outputs.map(([output = ""]) => Number(/^\d{19}/.exec(output)?.[0]) / 1e6);
  if (times.length !== jobs || times.some(Number.isNaN))
    throw new Error(`a job ran no command: ${JSON.stringify(outputs)}`);
  const sent = (await countMade()) - before - madePerJob * jobs;
  if (sent !== 1) throw new Error(`the project was sent ${sent} times`);
  await setup.server.stop();
  return Math.max(...times) - started.state.time.start;
}

/** Text of `FILE_BYTES` characters that differs for each seed. */
function textOf(seed: number): string {
  let text = "";
  for (let word = seed + 1; text.length < FILE_BYTES; word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0)
    text += word.toString(36);
  return text.slice(0, FILE_BYTES);
}
