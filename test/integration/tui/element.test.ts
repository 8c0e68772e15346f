import { expect, test } from "bun:test";
import { testRender } from "@opentui/solid";
import { createSignal } from "solid-js";
import { each, el, guarded, show } from "../../../src/tui/element.ts";

test("what is given as a function stays live, in its place among its siblings", async () => {
  const [name, setName] = createSignal("one");
  const [isShown, setShown] = createSignal(false);
  const [items, setItems] = createSignal<string[]>([]);
  const screen = await testRender(
    () =>
      el(
        "box",
        {},
        show(isShown, () => el("text", {}, "first")),
        each(items, (item) => el("text", {}, item)),
        el("text", {}, "name: ", name),
        el("text", {}, () => (isShown() ? "last" : "")),
      ),
    { width: 20, height: 6 },
  );
  const frame = async () => {
    await screen.renderOnce();
    return screen
      .captureCharFrame()
      .split("\n")
      .map((line) => line.trimEnd())
      .filter(Boolean);
  };
  expect(await frame()).toEqual(["name: one"]);
  setName("two");
  setShown(true);
  setItems(["a", "b"]);
  expect(await frame()).toEqual(["first", "a", "b", "name: two", "last"]);
  setItems(["b"]);
  setShown(false);
  expect(await frame()).toEqual(["b", "name: two"]);
  screen.renderer.destroy();
});

test("an error in a later update is replaced by the fallback, and what is around it goes on", async () => {
  const [fails, setFails] = createSignal(false);
  const text = () => {
    if (fails()) throw new Error("broken");
    return "fine";
  };
  const screen = await testRender(
    () =>
      el(
        "box",
        {},
        guarded(
          () => el("text", {}, text),
          (error) => el("text", {}, `fallback: ${(error as Error).message}`),
        ),
        el("text", {}, () => (fails() ? "after" : "before")),
      ),
    { width: 20, height: 3 },
  );
  await screen.renderOnce();
  expect(screen.captureCharFrame()).toContain("fine");
  setFails(true);
  await screen.renderOnce();
  expect(screen.captureCharFrame()).toContain("fallback: broken");
  expect(screen.captureCharFrame()).toContain("after");
  screen.renderer.destroy();
});
