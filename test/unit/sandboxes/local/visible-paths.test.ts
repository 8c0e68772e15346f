import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { excludeHidden } from "../../../../src/sandboxes/local/bubblewrap/lent/visible-paths.ts";
import { newBase, plant, removeBase, type Tree } from "../../../support/lent-fixture.ts";

const bases: string[] = [];
afterEach(() => bases.splice(0).forEach(removeBase));

function visible(tree: Tree, binds: readonly string[], hidden: readonly string[]) {
  const base = newBase();
  bases.push(base);
  plant(base, tree);
  const short = (path: string) => path.replace(`${base}/`, "");
  const given = excludeHidden(
    binds.map((path) => join(base, path)),
    hidden.map((path) => join(base, path)),
  );
  return {
    binds: given.binds.map(short),
    links: given.links.map(({ at, to }) => `${short(at)} -> ${to}`),
    tooLarge: given.tooLarge.map(short),
  };
}

test("a folder without hidden paths is lent as it is", () => {
  const given = visible({ "lib/x": "data", "bin/.env": "data" }, ["lib", "bin/run"], ["bin/.env"]);
  expect(given).toEqual({ binds: ["lib", "bin/run"], links: [], tooLarge: [] });
});

test("on the way to a hidden path, all other entries are lent one by one, and links are made anew", () => {
  const tree = {
    "lib/a/deep/key": "data",
    "lib/a/deep/x": "data",
    "lib/a/y": "data",
    "lib/b/z": "data",
    "lib/c": "-> ./a/deep/key",
    "lib/.git/config": "data",
  };
  expect(visible(tree, ["lib"], ["lib/a/deep/key", "lib/.git"])).toEqual({
    binds: ["lib/a/deep/x", "lib/a/y", "lib/b"],
    links: ["lib/c -> ./a/deep/key"], // dangling inside
    tooLarge: [],
  });
});

test("a path that is hidden, or contains only hidden paths, is not lent", () => {
  expect(visible({ "lib/.npmrc": "data" }, ["lib", "lib/.npmrc"], ["lib/.npmrc"])).toEqual({
    binds: [],
    links: [],
    tooLarge: [],
  });
});

test("a folder with too many entries to lend one by one is not lent but named", () => {
  const many = Object.fromEntries(Array.from({ length: 401 }, (_, n) => [`lib/many/${n}`, "data"]));
  expect(visible({ ...many, "lib/many/.env": "data", "lib/x": "data" }, ["lib"], ["lib/many/.env"])).toEqual({
    binds: ["lib/x"],
    links: [],
    tooLarge: ["lib/many"],
  });
});

test("of a folder that is lent one by one, files for people are left out", () => {
  const tree = {
    "lib/README.md": "data",
    "lib/.gitignore": "data",
    "lib/.git/config": "data",
    "lib/readme-tool": "data",
  };
  expect(visible(tree, ["lib"], ["lib/.git"]).binds).toEqual(["lib/readme-tool"]);
});
