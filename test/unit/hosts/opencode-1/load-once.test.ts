import { expect, test } from "bun:test";
import type { Hooks } from "@opencode-ai/plugin";
import { describeLater, loadOnce } from "../../../../src/hosts/opencode-1/load-once.ts";

const hooks: Hooks = { dispose: async () => {} };
const load = async () => hooks;

test("of several copies in one instance the first is loaded, and knows the others", async () => {
  const instance = {};
  let known: readonly string[] = [];
  const first = await loadOnce(instance, "/a", async (later) => {
    known = later;
    return hooks;
  });
  expect([first, await loadOnce(instance, "/b", load), await loadOnce(instance, "/a", load)]).toEqual([hooks, {}, {}]);
  expect(known).toEqual(["/b", "/a"]);
});

test("another folder and a reload are instances of their own", async () => {
  for (let n = 0; n < 3; n++) expect(await loadOnce({}, "/a", load)).toBe(hooks);
});

test("a copy that cannot be loaded leaves its place to the next, also while that waits for it", async () => {
  const fail = async () => {
    await Bun.sleep(1);
    throw new Error("no");
  };
  const instance = {};
  const first = loadOnce(instance, "/a", fail);
  const others = [loadOnce(instance, "/b", load), loadOnce(instance, "/c", load)];
  await expect(first).rejects.toThrow("no");
  expect(await Promise.all(others)).toEqual([hooks, {}]);
});

test("module instances of their own know each other's loads", async () => {
  const copy: typeof import("../../../../src/hosts/opencode-1/load-once.ts") = await import(
    `${import.meta.dirname}/../../../../src/hosts/opencode-1/load-once.ts?copy`
  );
  expect(copy.loadOnce).not.toBe(loadOnce);
  const instance = {};
  expect(await copy.loadOnce(instance, "/a", load)).toBe(hooks);
  expect(await loadOnce(instance, "/b", load)).toEqual({});
});

test("the user is told which copies were loaded, and which counts", () => {
  expect(describeLater("/a", [])).toEqual([]);
  expect(describeLater("/a", ["/a"])[0]).toContain("loaded from /a, and again from there, named in another way: only");
  expect(describeLater("/a", ["/b", "/b", "/a"])[0]).toContain("loaded from /a, and again from /b: only the first");
});
