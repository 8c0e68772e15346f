import { expect, test } from "bun:test";
import type { Isolation } from "../../../../src/sandboxes/local/isolation.ts";
import { openWhileFilling } from "../../../../src/sandboxes/local/open-while-filling.ts";
import { type CopyResult, NOTHING_LEFT_OUT } from "../../../../src/sandboxes/local/tree-copy.ts";

/** A copy that ends when it is told to, and stops when it is asked to. */
function copying() {
  const { promise, resolve, reject } = Promise.withResolvers<CopyResult>();
  let begin = () => {};
  let hasEnded = false;
  const fill = (began: () => void, signal: AbortSignal) => {
    begin = began;
    signal.addEventListener("abort", () => setTimeout(() => reject(new Error("stopped"))));
    return promise.finally(() => {
      hasEnded = true;
    });
  };
  return { fill, begin: () => begin(), resolve, reject, hasEnded: () => hasEnded };
}

function isolation() {
  const closed: unknown[] = [];
  const close = async (why: unknown) => void closed.push(why);
  return { opened: { isolation: { close } as unknown as Isolation }, closed };
}
const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

test("an isolation is opened once the copy begins, and is there when both have ended", async () => {
  const copy = copying();
  const { opened, closed } = isolation();
  let isOpening = false;
  const open = async () => {
    isOpening = true;
    return opened;
  };
  const both = openWhileFilling(copy.fill, open, undefined);
  await soon();
  expect(isOpening).toBe(false); // others are copied before it
  copy.begin();
  await soon();
  expect([isOpening, copy.hasEnded()]).toEqual([true, false]);
  copy.resolve(NOTHING_LEFT_OUT);
  expect(await both).toEqual({ opened, copied: NOTHING_LEFT_OUT });
  expect(closed).toEqual([]);
});

test("where the isolation cannot be opened, the copy is stopped and has ended before that is told", async () => {
  const copy = copying();
  const both = openWhileFilling(copy.fill, () => Promise.reject(new Error("no namespaces")), undefined);
  copy.begin();
  await expect(both).rejects.toThrow("no namespaces");
  expect(copy.hasEnded()).toBe(true);
});

test("where the copy fails, the isolation is closed, however late it opens", async () => {
  const copy = copying();
  const { opened, closed } = isolation();
  const both = openWhileFilling(copy.fill, () => soon().then(() => opened), undefined);
  copy.begin();
  copy.reject(new Error("disk full"));
  await expect(both).rejects.toThrow("disk full");
  expect(closed).toEqual([null]);
});

test("where the copy fails before its turn, no isolation is opened", async () => {
  const copy = copying();
  const both = openWhileFilling(copy.fill, () => Promise.reject(new Error("opened")), undefined);
  copy.reject(new Error("no such snapshot"));
  await expect(both).rejects.toThrow("no such snapshot");
});

test("a cancelled creation stops the copy", async () => {
  const copy = copying();
  const cancel = new AbortController();
  const { opened, closed } = isolation();
  const both = openWhileFilling(copy.fill, async () => opened, cancel.signal);
  copy.begin();
  cancel.abort();
  await expect(both).rejects.toThrow("stopped");
  expect(closed).toEqual([null]);
});
