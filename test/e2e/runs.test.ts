import { expect } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { start, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

const setup = useProject({ maxRunningJobs: 3 });

sandboxTest(
  "a task that is a command runs it without a model, once per combination, and its exit code decides",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const [started, waited] = await turn(
      server,
      session.id,
      start(
        { description: "good", command: "echo $((6*7))" },
        { description: "bad", command: ["sh", "-c", "echo broken >&2; exit 3"] },
        { description: "sweep", command: 'echo "$LR $SEED"', matrix: { LR: [0.1, "1e-5"], SEED: [1, 2] } },
      ),
      wait(),
    );
    expect(started?.metadata.jobs.map(({ kind, agent }) => `${kind}${agent}`)).toEqual(Array(6).fill("run"));
    const [good, bad, ...sweep] = waited?.metadata.finished ?? [];
    expect(good).toMatchObject({ state: "completed", exitCode: 0, result: "42", turns: 0, usd: { model: 0 } });
    expect(good?.sessionID).toBeUndefined();
    expect(bad).toMatchObject({ state: "failed", exitCode: 3, result: "broken", error: { code: "command_failed" } });
    expect(bad?.error?.message).toContain('exit code 3. Its last lines: "broken"');
    expect(sweep.map(({ result }) => result as string)).toEqual(["0.1 1", "0.1 2", "1e-5 1", "1e-5 2"]);
    expect(sweep[3]).toMatchObject({ params: { LR: "1e-5", SEED: 2 }, description: "sweep (LR=1e-5, SEED=2)" });
  },
);
