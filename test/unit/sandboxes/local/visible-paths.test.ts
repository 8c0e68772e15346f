import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { excludeHidden } from "../../../../src/sandboxes/local/bubblewrap/lent/visible-paths.ts";
import { newBase, plant, removeBase, type Tree } from "../../../support/lent-fixture.ts";

const bases: string[] = [];
afterEach(() => bases.splice(0).forEach(removeBase));

function around(tree: Tree, binds: readonly string[], hidden: readonly string[]) {
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

test("a folder that holds nothing to hide is lent as it is", () => {
  const given = around({ "lib/x": "data", "bin/.env": "data" }, ["lib", "bin/run"], ["bin/.env"]);
  expect(given).toEqual({ binds: ["lib", "bin/run"], links: [], tooLarge: [] });
});

test("only what is beside it and beside its folders is lent one by one, links as links", () => {
  const tree = {
    "lib/a/deep/key": "data",
    "lib/a/deep/x": "data",
    "lib/a/y": "data",
    "lib/b/z": "data",
    "lib/c": "-> ./a/deep/key",
    "lib/.git/config": "data",
  };
  expect(around(tree, ["lib"], ["lib/a/deep/key", "lib/.git"])).toEqual({
    binds: ["lib/a/deep/x", "lib/a/y", "lib/b"],
    links: ["lib/c -> ./a/deep/key"], // leads nowhere inside
    tooLarge: [],
  });
});

test("a part that is itself hidden, or holds nothing else, is not lent", () => {
  expect(around({ "lib/.npmrc": "data" }, ["lib", "lib/.npmrc"], ["lib/.npmrc"])).toEqual({
    binds: [],
    links: [],
    tooLarge: [],
  });
});

test("a folder with too many entries to lend one by one is not lent, and named", () => {
  const many = Object.fromEntries(Array.from({ length: 401 }, (_, n) => [`lib/many/${n}`, "data"]));
  expect(around({ ...many, "lib/many/.env": "data", "lib/x": "data" }, ["lib"], ["lib/many/.env"])).toEqual({
    binds: ["lib/x"],
    links: [],
    tooLarge: ["lib/many"],
  });
});
