import { expect, test } from "bun:test";
import type { StopRule } from "../../../src/core/run-task.ts";
import curves from "./learning-curves/curves.json" with { type: "json" };
import { playRuns } from "./stop-simulation.ts";

const rule: StopRule = { metric: "val_loss", direction: "min", rungs: [8, 24], keep: 0.3 };
const losses = curves.map((curve) => curve.losses.map(Number));
const all = losses.length * (losses[0]?.length ?? 0);
const final = (curve: readonly number[]) => curve.at(-1) ?? Number.NaN;
const best = Math.min(...losses.map(final));

/** A pseudorandom number below `n`, always the same ones. */
function createDice() {
  let state = 1;
  return (n: number) => {
    state = (state * 48_271) % 0x7fffffff;
    return state % n;
  };
}

/** The recorded runs in another order of arrival and at another pace. */
function play(dice: (n: number) => number, slots: number) {
  const order = [...losses];
  for (let i = order.length - 1; i > 0; i--) {
    const other = dice(i + 1);
    [order[i], order[other]] = [order[other] ?? [], order[i] ?? []];
  }
  const turns = Array.from({ length: 5_000 }, () => dice(1_000));
  const { stopped, steps } = playRuns(rule, order, { turns, slots });
  const left = order.filter((_, i) => !stopped.has(`run ${i}`)).map(final);
  return { winner: Math.min(...left), compute: steps / all };
}

test("108 recorded curves: the same winner with at most 40 % of the compute, all at once and in almost every order", () => {
  const dice = createDice();
  const atOnce = Array.from({ length: 10 }, () => play(dice, losses.length));
  const bySlots = Array.from({ length: 40 }, () => play(dice, 8));
  expect(Math.max(...[...atOnce, ...bySlots].map(({ compute }) => compute))).toBeLessThan(0.4);
  expect(atOnce.filter(({ winner }) => winner === best)).toHaveLength(10);
  // A run that is compared with few may lose to the few that happen to be better at that time.
  expect(bySlots.filter(({ winner }) => winner === best).length).toBeGreaterThanOrEqual(39);
  const ranked = losses.map(final).sort((a, b) => a - b);
  for (const { winner } of bySlots) expect(ranked.indexOf(winner)).toBeLessThan(5);
});

test("from the worst to the best on few slots the winner is the same, but each run is the best so far", () => {
  const { stopped, steps } = playRuns(rule, losses, { slots: 8 });
  const left = losses.filter((_, i) => !stopped.has(`run ${i}`));
  expect([Math.min(...left.map(final)), steps / all < 0.6]).toEqual([best, true]);
});
