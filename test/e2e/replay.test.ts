import { expect } from "bun:test";
import { replay } from "../chaos/replay.ts";
import { sandboxTest } from "../support/sandboxes.ts";

sandboxTest(
  "a campaign whose host is killed in the middle loses and doubles no experiment, and its ledger is complete",
  async () => {
    const { use, problems, begunAgain } = await replay({ runs: 40, slots: 8, secondMs: 3, reuse: true });
    expect(problems).toEqual([]);
    expect(use.most).toBeLessThanOrEqual(8);
    expect(begunAgain).toBeGreaterThan(0);
  },
);
