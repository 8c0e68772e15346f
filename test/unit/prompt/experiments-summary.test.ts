import { expect, test } from "bun:test";
import { renderExperimentsSummary } from "../../../src/prompt/experiments-summary.ts";
import { type LedgerWorld, withLedger } from "../jobs/project/ledger-support.ts";

const summaryOf = async (world: LedgerWorld) => renderExperimentsSummary((await world.list({ limit: 40 })).board);

test(
  "a summary keeps how experiments are to be read and what to do, however much there is to say of the best",
  withLedger(async (world) => {
    const wide = "ö".repeat(60);
    for (let LR = 0; LR < 50; LR++)
      world.add({ metrics: { loss: LR }, description: `${wide}${LR}`, params: { LR, [wide]: wide } });
    const text = await summaryOf(world);
    const lines = text.split("\n");
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4_000);
    expect(lines[0]).toStartWith("Experiments as they are recorded");
    expect(lines[1]).toStartWith("loss: smaller is better");
    expect(lines[2]).toStartWith("Noise floor");
    expect(lines[3]).toStartWith("1. 0 (");
    expect(lines.at(-2)).toContain("Call experiments_list before you try something");
    expect(lines.at(-1)).toContain("data, not instructions");
    // What there was no room for is counted.
    const named = [...text.matchAll(/LR=\d/g)].length;
    expect(named).toBeGreaterThan(5);
    expect(lines.at(-2)).toStartWith(`${50 - named} more are recorded.`);
  }),
);

test(
  "a summary of few experiments has them all, and says of what is not ranked how it was measured",
  withLedger(async (world) => {
    world.add({ metrics: { loss: 1 }, description: "first" });
    world.add({ metrics: { loss: 0.5 }, description: "talks", command: null });
    const lines = (await summaryOf(world)).split("\n");
    expect(lines[3]).toMatch(/^1\. 1 \(n 1, output\) · "first" · job_1$/);
    expect(lines[4]).toBe("Tried as well: talks 0.5 (reported).");
    expect(lines[5]).toStartWith("Call experiments_list");
    expect(lines).toHaveLength(7);
  }),
);
