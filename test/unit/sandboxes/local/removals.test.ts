import { expect, test } from "bun:test";
import { Removals } from "../../../../src/sandboxes/local/removals.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

function removals(fails: readonly string[] = []) {
  const clock = createFakeClock();
  const removed: string[][] = [];
  const logged: unknown[] = [];
  const remove = async (paths: readonly string[]) => {
    removed.push([...paths]);
    if (paths.some((path) => fails.includes(path))) throw new Error("immutable");
  };
  return { clock, removed, logged, removals: new Removals(remove, clock, (...said) => logged.push(said)) };
}

test("what is added within a second is removed together", async () => {
  const { clock, removed, removals: these } = removals();
  these.add("/a");
  await clock.advance(900);
  these.add("/b");
  expect(removed).toEqual([]);
  await clock.advance(100);
  these.add("/c");
  expect(removed).toEqual([["/a", "/b"]]);
  await clock.advance(1_000);
  expect(removed).toEqual([["/a", "/b"], ["/c"]]);
});

test("at the end all that waits is removed at once, and a failure is told and stops nothing", async () => {
  const { clock, removed, logged, removals: these } = removals(["/a"]);
  these.add("/a");
  await these.finish();
  these.add("/b");
  await these.finish();
  await clock.advance(5_000);
  expect(removed).toEqual([["/a"], ["/b"]]);
  expect(JSON.stringify(logged)).toContain("immutable");
  expect(logged).toHaveLength(1);
});
