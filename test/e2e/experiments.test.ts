import { afterAll, beforeAll, expect } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ExperimentView } from "../../src/views/experiment-view.ts";
import { must, restart } from "../support/opencode.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, scriptedModel } from "../support/scripted.ts";
import { startSetup, type TestSetup } from "../support/test-setup.ts";
import { ask, start, task, turn, wait } from "../support/turns.ts";

/* What is known of experiments, in the real OpenCode: in one session, after a compaction, after a kill, in the next session. */

let host: TestSetup;
beforeAll(async () => {
  host = await startSetup({ maxRunningJobs: 6, notify: { resume: false } });
});
afterAll(async () => {
  await host?.stop();
});

const list = (args: object = {}) => call("experiments_list", args);
const experiments = (answer: { metadata: object } | undefined) =>
  (answer?.metadata as { experiments: ExperimentView[]; noise: { value: number; n: number; source: string } | null }) ??
  {};

sandboxTest(
  "experiments are ranked with their noise, named when they are run again, kept in summaries, and known to the next session after a kill",
  async () => {
    const { model } = host;
    model.use((request) => (request.tools.length === 0 ? { text: "a summary" } : scriptedModel(request)));
    const session = await host.server.createSession();
    const train = { command: 'echo "METRIC loss=$(( SEED + LR * 100 ))"' };
    const [, , listed] = await turn(
      host.server,
      session.id,
      start(
        { ...train, description: "baseline", matrix: { LR: [3], SEED: [1, 2, 3] } },
        { ...train, description: "sweep", matrix: { LR: [1, 3.0, 9], SEED: [4] } },
        task("agent", call("job_report", { metrics: { loss: 0.5 } }), say("done")),
      ),
      wait(),
      list(),
    );
    const first = experiments(listed);
    expect(first.noise).toMatchObject({ source: "seeds" });
    expect(first.experiments.map(({ mean, n, rank, verdict, source }) => [mean, n, rank, verdict, source])).toEqual([
      [104, 1, 1, "better", "output"],
      [302.5, 4, 2, null, "output"],
      [904, 1, 3, "worse", "output"],
      [0.5, 1, undefined, null, "reported"],
    ]);
    expect(listed?.output).toContain("Not ranked, because their numbers are weaker: what the jobs say of themselves");

    const [again] = await turn(
      host.server,
      session.id,
      start({ ...train, description: "twice", matrix: { LR: [1], SEED: [4] } }),
      wait(),
    );
    expect(again?.output).toContain(`is the same as ${first.experiments[0]?.job} of `);
    expect(again?.metadata.jobs[0]?.notes.join()).toContain("The same was run before");

    must(await host.server.client.session.summarize({ sessionID: session.id, providerID: "mock", modelID: "m1" }));
    const summarized = JSON.stringify(model.requests.at(-1)?.messages);
    expect(summarized).toContain("Experiments as they are recorded");
    expect(summarized).toContain("1. 104 (n 1, output, better)");

    host.server = await restart(host.server, host.home, "SIGKILL");
    const projects = join(host.home.stateDir, "projects");
    for (const name of readdirSync(projects)) rmSync(join(projects, name));
    const next = await host.server.createSession();
    const known = await ask(host.server, next.id, list());
    expect(experiments(known).experiments.map(({ mean, n }) => [mean, n])).toEqual([
      [104, 1],
      [302.5, 4],
      [904, 1],
      [0.5, 1],
    ]);
    expect(JSON.stringify([known.output, known.metadata])).not.toContain(session.id);
    expect(experiments(await ask(host.server, next.id, list({ scope: "session" }))).experiments).toEqual([]);
    const refused = await ask(host.server, next.id, list({ direction: "up" }));
    expect(refused.metadata.error?.code).toBe("invalid_task");
    expect(model.errors).toEqual([]);
  },
);
