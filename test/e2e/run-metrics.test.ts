import { expect } from "bun:test";
import { sandboxTest } from "../support/sandboxes.ts";
import { start, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";

const setup = useProject({ maxRunningJobs: 4 });

/** A run that reports and then waits for a long time, which only being stopped ends. */
const TRAIN = `for step in 1 2 3; do echo "METRIC loss=$LOSS step=$step"; sleep 0.2; done; [ "$LOSS" = 1 ] || sleep 600`;

sandboxTest(
  "runs that are worse than their siblings at a rung are stopped early, and what they printed is their series",
  async () => {
    const { server } = setup;
    const session = await server.createSession();
    const stop = { metric: "loss", direction: "min", rungs: [3], keep: 0.25 };
    const [, waited] = await turn(
      server,
      session.id,
      start(
        { description: "train", command: TRAIN, matrix: { LOSS: [4, 1, 3, 2] }, stop },
        { description: "odd", command: 'echo "Loss: nan"; printf "METRIC acc=inf"', metrics: { loss: "loss:" } },
      ),
      wait(),
    );
    const [d, a, c, b, odd] = waited?.metadata.finished ?? [];
    expect(a).toMatchObject({ state: "completed", metrics: { loss: { value: 1, step: 3, source: "output" } } });
    for (const lost of [d, c, b]) {
      expect(lost).toMatchObject({ state: "cancelled", reason: "stopped early", stopped: { rung: 3 } });
      expect(waited?.output).toContain(`stopped early at step 3: loss ${lost?.params?.LOSS}, the cut was `);
    }
    expect(odd).toMatchObject({ state: "completed", metrics: { acc: { value: "Infinity", source: "output" } } });
    expect(odd?.notes.join()).toContain('The metric "loss" never came');
    expect(waited?.output).toContain('There was a line with other capital letters: "Loss: nan"');
  },
);
