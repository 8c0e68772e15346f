import { expect, test } from "bun:test";
import { memoizeUntilFailure, PromiseCache } from "../../../src/shared/memoize-until-failure.ts";

test("makes the value once for callers that ask at the same time and later", async () => {
  let calls = 0;
  const get = memoizeUntilFailure(async () => ++calls);
  expect(get.current()).toBeNull();
  expect(await Promise.all([get(), get()])).toEqual([1, 1]);
  expect(await get()).toBe(1);
  expect(await get.current()).toBe(1);
});

test("tells every waiting caller of a failure and tries again at the next call", async () => {
  const results = [() => Promise.reject(new Error("no network")), () => Promise.resolve("ready")];
  const get = memoizeUntilFailure(() => (results.shift() as () => Promise<string>)());
  const failures = await Promise.allSettled([get(), get()]);
  expect(failures.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(get.current()).toBeNull();
  expect(await get()).toBe("ready");
});

test("a failed call is forgotten by the time its caller learns of it", async () => {
  const get = memoizeUntilFailure(() => Promise.reject(new Error("no network")));
  let current: unknown = "not asked";
  await get().catch(() => {
    current = get.current();
  });
  expect(current).toBeNull();
});

test("a cache keeps one promise per key, and deletes on request", async () => {
  const cache = new PromiseCache<string, string>();
  let calls = 0;
  const make = (key: string) => cache.getOrMake(key, async () => `${key}${++calls}`);
  expect(await Promise.all([make("a"), make("a"), make("b")])).toEqual(["a1", "a1", "b2"]);
  expect(await Promise.all(cache.values())).toEqual(["a1", "b2"]);
  cache.delete("a");
  expect(cache.get("a")).toBeNull();
  expect(await make("a")).toBe("a3");
});

test("the late failure of a deleted entry does not remove the one made after it", async () => {
  const cache = new PromiseCache<string, string>();
  let fail: (error: Error) => void = () => {};
  const first = cache.getOrMake("a", () => new Promise((_, reject) => (fail = reject)));
  cache.delete("a");
  const second = cache.getOrMake("a", async () => "second");
  fail(new Error("late"));
  await expect(first).rejects.toThrow("late");
  expect(cache.get("a")).toBe(second);
});
