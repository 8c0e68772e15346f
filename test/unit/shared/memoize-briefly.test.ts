import { expect, test } from "bun:test";
import { memoizeBriefly } from "../../../src/shared/memoize-briefly.ts";

test("the value is made once for calls close together, and again later, for other arguments and after a change", () => {
  let now = 0;
  let state = "as it was";
  let calls = 0;
  const get = memoizeBriefly(
    { forMs: 10, clock: { now: () => now } },
    (name: string) => `${name} ${state}`,
    (name) => {
      calls += 1;
      return `${name} ${calls}`;
    },
  );
  expect([get("a"), get("a")]).toEqual(["a 1", "a 1"]);
  now = 9;
  expect(get("a")).toBe("a 1");
  now = 10;
  expect(get("a")).toBe("a 2");
  expect(get("b")).toBe("b 3");
  state = "changed";
  expect(get("b")).toBe("b 4");
});

test("a failure is not kept, thrown or promised", async () => {
  let fails = true;
  const how = { forMs: 10, clock: { now: () => 0 } };
  const toKey = () => "";
  const get = memoizeBriefly(how, toKey, () => {
    if (fails) throw new Error("no");
    return "made";
  });
  const promise = memoizeBriefly(how, toKey, () => (fails ? Promise.reject(new Error("no")) : Promise.resolve("made")));
  expect(() => get(null)).toThrow("no");
  await expect(promise(null)).rejects.toThrow("no");
  fails = false;
  expect(get(null)).toBe("made");
  expect(await promise(null)).toBe("made");
});
