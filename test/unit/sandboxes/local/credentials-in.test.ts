import { afterEach, describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readHostPath } from "../../../../src/sandboxes/local/bubblewrap/host-path.ts";
import { createCredentialSearch } from "../../../../src/sandboxes/local/bubblewrap/lent/credentials-in.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { newBase, plant, removeBase, type Tree } from "../../../support/lent-fixture.ts";

const bases: string[] = [];
afterEach(() => bases.splice(0).forEach(removeBase));

function made(tree: Tree): string {
  const base = newBase();
  bases.push(base);
  plant(base, tree);
  return base;
}

const later = createFakeClock(Date.now() + 60_000);

function search(base: string, find = createCredentialSearch(later)) {
  const { credentials, unsearched } = find(base);
  const short = (path: string) => path.replace(`${base}/`, "");
  return { credentials: credentials.map(short), unsearched: unsearched.map(short) };
}

function fill(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "first"), "");
  for (let at = 1; at < count; at += 1) linkSync(join(folder, "first"), join(folder, `f${at}`));
}

describe("a search for credentials finds them", () => {
  test("behind tens of thousands of other files", () => {
    const base = made({ "z/.env": "data" });
    for (const folder of ["a", "b"]) fill(join(base, folder), 10_001);
    expect(search(base)).toEqual({ credentials: ["z/.env"], unsearched: [] });
  });

  test("many folders down", () => {
    const deep = "1/2/3/4/5/6/7/8/9/10/11/12";
    const base = made({ [`${deep}/id_rsa`]: "data", "1/2/3/4/5/6/7/.aws": "folder" });
    expect(search(base).credentials.sort()).toEqual(["1/2/3/4/5/6/7/.aws", `${deep}/id_rsa`].sort());
  });

  test("in folders that are only named like those of packages", () => {
    const base = made({ "python3-work/x/.env": "data", "store/x/.env": "data", "python3.12/x/.env": "data" });
    expect(search(base).credentials).toEqual(["python3-work/x/.env", "store/x/.env"]);
  });

  test("also when they came or went since the last search", () => {
    const base = made({ "a/x": "data", "b/.env": "data" });
    const find = createCredentialSearch(later);
    expect(search(base, find).credentials).toEqual(["b/.env"]);
    plant(base, { "a/.env": "data", "a/deep/.env": "data" });
    rmSync(join(base, "b/.env"));
    utimesSync(join(base, "a"), 0, 0); // as unpacking an archive sets it
    expect(search(base, find).credentials).toEqual(["a/.env", "a/deep/.env"]);
  });

  test("also when they came in the moment of the last search", () => {
    const base = made({ "a/x": "data" });
    const find = createCredentialSearch({ now: () => Date.now() });
    for (let at = 0; at < 200; at += 1) {
      expect(search(base, find).credentials.length).toBe(at);
      writeFileSync(join(base, `a/.env.${at}`), "");
    }
  });
});

describe("what it has not searched it names", () => {
  test("when there is too much of it", () => {
    const base = made({ "z/.env": "data", "y/.env": "data", ".env": "data" });
    for (const folder of ["a/1", "a/2", "a/3"]) fill(join(base, folder), 50);
    const found = search(base, createCredentialSearch(later, 100));
    expect(found).toEqual({ credentials: [".env"], unsearched: ["a/3", "y", "z"] });
  });

  test("when it is too deep", () => {
    const base = made({ [`${"x/".repeat(80)}.env`]: "data" });
    expect(search(base)).toEqual({ credentials: [], unsearched: ["x/".repeat(64).slice(0, -1)] });
  });

  test("and it is not lent", () => {
    const base = made({
      "node/bin/node": "program",
      "node/lib/node_modules/npm/x": "data",
      "node/share/b/.env": "data",
    });
    fill(join(base, "node/share/a"), 50);
    const { lent, refused, visible } = readHostPath({
      hostPath: join(base, "node/bin"),
      home: "/home/ada",
      neverLent: [],
      project: null,
      inside: [],
      readOnlyPaths: [],
      search: createCredentialSearch(later, 40),
    });
    const at = (path: string) => join(base, "node", path);
    expect(lent.map(({ path }) => path)).toEqual([at("bin"), at("lib"), at("share")]);
    expect(visible.binds).toEqual([at("bin"), at("lib"), at("share/a")]);
    expect(refused).toEqual([{ path: at("share/b"), why: "it could not be searched for credentials" }]);
  });
});
