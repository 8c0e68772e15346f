import { expect } from "bun:test";
import type { NoiseFloor } from "../../src/core/experiments/noise.ts";
import type { ExperimentView } from "../../src/views/experiment-view.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call } from "../support/scripted.ts";
import { ask, start, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { TURN_EVERY_MS, until } from "../support/wait.ts";

/* A small campaign as an orchestrator leads one: runs, a score, the list, and the winner forked the next day. */

const TRAIN = `rate=$1
for step in 1 2 3; do awk -v r="$rate" -v s="$step" 'BEGIN { print "METRIC loss=" (r - 4) ^ 2 / s + 1 " step=" s }'; done
echo "$rate" > model.txt
`;
/** The true value, and a little noise. */
const EVAL = `awk -v seed="$SEED" '{ print "METRIC loss=" ($1 - 4) ^ 2 + 1 + seed / 100 }' model.txt\n`;

const setup = useProject(
  {
    environments: { default: { workspace: "project" } },
    benchmarks: { loss: { command: "sh eval.sh", metric: "loss", direction: "min", protect: ["eval.sh"], repeats: 3 } },
  },
  { files: { "train.sh": TRAIN, "eval.sh": EVAL, "model.txt": "0\n" } },
);

interface Experiments {
  readonly experiments: readonly ExperimentView[];
  readonly noise: NoiseFloor | null;
}

async function list(sessionID: string) {
  const answer = await ask(setup.server, sessionID, call("experiments_list", {}));
  return { output: answer.output, ...(answer.metadata as unknown as Experiments) };
}

sandboxTest(
  "a campaign: runs are screened, the best are scored and listed, and another session of the project forks the winner",
  async () => {
    const { server, home } = setup;
    const first = (await server.createSession()).id;
    const [, screened] = await turn(
      server,
      first,
      start(
        { description: "control", command: "sh train.sh 0" },
        { description: "rate", command: "sh train.sh $RATE", matrix: { RATE: [2, 4, 9] } },
      ),
      wait(),
    );
    const runs = screened?.metadata.finished ?? [];
    expect(runs.map(({ kind, state, turns }) => [kind, state, turns])).toEqual(Array(4).fill(["run", "completed", 0]));
    const jobOf = (rate: number) => runs.find(({ params }) => params?.RATE === rate);
    expect(jobOf(9)?.metrics.loss).toMatchObject({ value: 9.33333, step: 3, source: "output" });
    const control = runs.find(({ description }) => description === "control");

    const jobs = [control?.id, jobOf(2)?.id, jobOf(4)?.id];
    const [scoring, scored] = await turn(server, first, call("experiments_score", { jobs, benchmark: "loss" }), wait());
    expect(scoring?.metadata.jobs.map(({ kind }) => kind)).toEqual(Array(9).fill("run"));
    expect(scored?.metadata.finished.map(({ state }) => state)).toEqual(Array(4 + 9).fill("completed"));

    const today = await list(first);
    expect(today.experiments[0]).toMatchObject({
      ...{ job: jobOf(4)?.id, rank: 1, metric: "loss", direction: "min", n: 3, source: "clean", params: { RATE: 4 } },
      mean: expect.closeTo(1.02, 6),
      deviation: expect.closeTo(0.01, 6),
    });
    expect(today.noise).toMatchObject({ source: "seeds" });
    expect(today.output).toContain("1.02");

    const second = (await server.createSession()).id;
    const tomorrow = await until(
      async () => {
        const listed = await list(second);
        return listed.experiments[0]?.snapshot === undefined ? null : listed;
      },
      { everyMs: TURN_EVERY_MS, what: "the winner's files are kept" },
    );
    expect(tomorrow.experiments.map(({ id, mean }) => [id, mean])).toEqual(
      today.experiments.map(({ id, mean }) => [id, mean]),
    );
    const [winner] = tomorrow.experiments;
    const [, went] = await turn(
      server,
      second,
      start({ description: "on", from: winner?.snapshot, command: "cat model.txt && echo 5 > model.txt" }),
      wait(),
    );
    const fork = went?.metadata.finished[0];
    expect(fork).toMatchObject({ state: "completed", parent: winner?.job });
    expect(went?.output).toContain("4");
    const collected = await ask(server, second, call("agents_collect", { job: fork?.id }));
    expect(collected.metadata).toMatchObject({ branch: `agents/${fork?.id}` });
    expect(home.git("show", `agents/${fork?.id}:model.txt`)).toBe("5");
  },
);
