import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type LabServer, startLab } from "../support/lab.ts";
import { creations, type ModalLab, startModalLab } from "../support/modal-lab.ts";
import { hasWalls } from "../support/modal-server/machine.ts";
import { say } from "../support/scripted.ts";
import { outputsOf, shell, start, task, turn, wait } from "../support/turns.ts";
import { alternate, report } from "./stats.ts";

const JOBS = 8;
const FILES = 10_000;
const FILE_BYTES = 5 * 1024;
const OPTIONS = { environments: { default: { workspace: "project" } }, parkAfterSeconds: 600 };
const NOW = "date +%s%N";

/** From the call that starts jobs to the first command of the last of them, in a project that was never sent before. */
export async function benchTrees(rounds: number): Promise<void> {
  const files = Object.fromEntries(Array.from({ length: FILES }, (_, n) => [`many/${n % 100}/${n}.txt`, textOf(n)]));
  const local = async (jobs: number) => {
    const lab = await startLab({ ...OPTIONS, provider: "local" }, { files });
    return measure(lab, jobs, () => readdirSync(join(lab.home.stateDir, "local/snapshots")).length);
  };
  const modal = async (jobs: number) => {
    const lab: ModalLab = await startModalLab(OPTIONS, { files });
    return measure(lab, jobs, async () => (await creations(lab.modal)).length - jobs);
  };
  const few = Math.ceil(rounds / 5);
  for (const [name, place] of [["local", local] as const, ["Modal", modal] as const]) {
    if (name === "Modal" && !hasWalls()) continue;
    const [eight, one] = await alternate(
      few,
      () => place(JOBS),
      () => place(1),
    );
    report(
      `${name}: to the first command, in a tree of ${FILES} files and ${(FILES * FILE_BYTES) >> 20} MiB, sent once`,
      { name: `of all of ${JOBS} jobs`, samples: eight },
      { name: "of a single job", samples: one },
    );
  }
}

async function measure(lab: LabServer, jobs: number, uploads: () => number | Promise<number>): Promise<number> {
  try {
    const session = await lab.server.createSession();
    const tasks = Array.from({ length: jobs }, (_, n) => task(`job ${n}`, shell(NOW), say("done")));
    const [, waited] = await turn(lab.server, session.id, start(...tasks), wait());
    const [started] = await lab.server.toolParts(session.id, "agents_start");
    if (started?.state.status !== "completed") throw new Error("agents_start failed");
    const outputs = await Promise.all(
      (waited?.metadata.finished ?? []).map((job) => outputsOf(lab.server, job, "sandbox_exec")),
    );
    const times = outputs.map(([output = ""]) => Number(/^\d{19}/.exec(output)?.[0]) / 1e6);
    if (times.length !== jobs || times.some(Number.isNaN)) throw new Error(`not all ran: ${JSON.stringify(outputs)}`);
    const sent = await uploads();
    if (sent !== 1) throw new Error(`the project was sent ${sent} times`);
    return Math.max(...times) - started.state.time.start;
  } finally {
    await lab.stop();
  }
}

/** Of this length, and unlike the others. */
function textOf(seed: number): string {
  let text = "";
  for (let word = seed + 1; text.length < FILE_BYTES; word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0)
    text += word.toString(36);
  return text.slice(0, FILE_BYTES);
}
