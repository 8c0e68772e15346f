import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync } from "node:fs";
import { fileAt, type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call } from "../support/scripted.ts";
import { ask, start, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

const EVAL = `read value < model.txt; read answer < data/answer.txt; [ -e out/w.bin ] && cat out/w.bin
echo "METRIC loss=$((answer - value + SEED))"\n`;

let setup: ModalSetup;

beforeAll(async () => {
  const benchmark = { command: "sh eval.sh", metric: "loss", direction: "min", protect: ["eval.sh", "data/**"] };
  setup = await startModalSetup(
    {
      maxRunningJobs: 6,
      environments: { default: { workspace: "project" } },
      benchmarks: {
        clean: { ...benchmark, artifacts: ["out/*.bin"], repeats: 2 },
        kept: { ...benchmark, setting: "snapshot" },
        slow: { ...benchmark, command: "touch measuring; while [ ! -e lost ]; do sleep 0.1; done; sh eval.sh" },
      },
    },
    { files: { "model.txt": "10\n", "eval.sh": EVAL, "data/answer.txt": "100\n", ".gitignore": "out/\n" } },
  );
});

afterAll(async () => {
  await setup?.stop();
});

const score = (jobs: readonly string[], benchmark: string) => call("experiments_score", { jobs, benchmark });

sandboxTest(
  "jobs on Modal are measured with the files that their line began with, in both settings, and again in another sandbox when one is lost",
  async () => {
    const { server, modal } = setup;
    const session = await server.createSession();
    const one = async (task: object) => {
      const [started] = await turn(server, session.id, start(task), wait());
      return started?.metadata.jobs[0]?.id as string;
    };
    const cheater = await one({
      description: "cheater",
      command: "echo 'echo METRIC loss=0' > eval.sh; echo 0 > data/answer.txt; mkdir out; echo weights > out/w.bin",
    });
    const fork = await one({ description: "fork", command: "echo 20 > model.txt", from: cheater });
    const forkOfFork = await one({ description: "fork of a fork", command: "echo 30 > model.txt", from: fork });

    const [, measured] = await turn(
      server,
      session.id,
      score([cheater, forkOfFork], "clean"),
      score([forkOfFork], "kept"),
      wait(),
    ).then(([, kept, waited]) => [kept, waited]);
    const runs = measured?.metadata.finished.filter(
      ({ parent, description }) => parent !== undefined && / of /.test(description) && description !== "fork of a fork",
    );
    expect(
      runs?.map(({ description, metrics }) => [description.split(" ")[0], metrics.loss?.value, metrics.loss?.source]),
    ).toEqual([
      ["clean", 91, "clean"],
      ["clean", 92, "clean"],
      ["clean", 71, "clean"],
      ["clean", 72, "clean"],
      ["kept", 71, "snapshot"],
    ]);
    for (const run of runs ?? []) if (run.description.startsWith("clean")) expect(run.result).toContain("weights");
    expect(runs?.[2]?.notes.join()).toContain("eval.sh");

    const [started] = await turn(server, session.id, score([forkOfFork], "slow"));
    const measuring = async () =>
      (await modal.sandboxes({ live: true })).find((sandbox) => existsSync(fileAt(sandbox, "measuring")));
    await until(async () => (await measuring()) !== undefined, { what: "it measures" });
    const first = await measuring();
    await modal.kill(first?.id as string);
    await until(async () => ((await measuring())?.id ?? first?.id) !== first?.id, {
      what: "it measures in another one",
    });
    const again = await measuring();
    await Bun.write(fileAt(again as NonNullable<typeof again>, "lost"), "");
    const { finished } = (await ask(server, session.id, wait({ jobs: [started?.metadata.jobs[0]?.id] }))).metadata;
    expect(finished).toMatchObject([
      { state: "completed", attempts: 2, metrics: { loss: { value: 71, source: "clean" } } },
    ]);
    await noneLeft(modal);
  },
);
