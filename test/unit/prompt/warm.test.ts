import { expect, test } from "bun:test";
import { renderWarm } from "../../../src/prompt/warm.ts";

const facts = { environment: "train", ready: 0, making: 0, usd: 0, problem: null };

test("what is kept ready is told with its cost, and nothing of what there is nothing to say", () => {
  expect(renderWarm([{ ...facts, ready: 2, making: 1, usd: 0.03 }, facts])).toEqual([
    'Environment "train": 2 warm sandboxes ready, 1 being made, $0.03 so far.',
  ]);
});

test("why none could be made is told once, where the set-up's failure is told anyway", () => {
  const failing = [{ ...facts, problem: "Could not set up environment train: it failed." }];
  expect(renderWarm(failing)).toEqual([
    'Environment "train": 0 warm sandboxes ready. The last one could not be made: Could not set up environment train: it failed.',
  ]);
  expect(renderWarm(failing, new Map([["train", "Could not set up environment train: it failed."]]))).toEqual([
    'Environment "train": 0 warm sandboxes ready. The last one could not be made: its set-up failed, see above.',
  ]);
});
