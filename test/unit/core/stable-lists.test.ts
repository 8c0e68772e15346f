import { expect, test } from "bun:test";
import { perList, type StableLists, stable } from "../../../src/core/stable-lists.ts";

const [a, b, c] = [{ id: "a" }, { id: "b" }, { id: "c" }];

test("a list with the same objects is the list that was given before", () => {
  const known: StableLists<object> = new WeakMap();
  const first = stable(known, [a, b]);
  expect(stable(known, [a, b])).toBe(first);
});

test("a list that differs in an object, its order or its length is another one", () => {
  const known: StableLists<object> = new WeakMap();
  const first = stable(known, [a, b, c]);
  for (const other of [
    [{ ...a }, b, c],
    [b, a, c],
    [b, c],
    [a, b, { ...c }],
  ])
    expect(stable(known, other)).toBe(other);
  expect(stable(known, [a, b, c])).not.toBe(first); // only the newest list with that end is known
});

test("an empty list is itself", () => {
  const empty: object[] = [];
  expect(stable(new WeakMap(), empty)).toBe(empty);
});

test("what is worked out about a list is worked out once, also when it is undefined", () => {
  let calls = 0;
  const first = perList((list: readonly { id: string }[]) => {
    calls++;
    return list[0]?.id;
  });
  const list = [a];
  expect([first(list), first(list), first([b])]).toEqual(["a", "a", "b"]);
  const none: { id: string }[] = [];
  expect([first(none), first(none)]).toEqual([undefined, undefined]);
  expect(calls).toBe(3);
});
