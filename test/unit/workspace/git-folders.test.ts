import { expect, test } from "bun:test";
import { createInside, gitFolders } from "../../../src/workspace/git-folders.ts";

const oid = "0123456789".repeat(4);

test("a repository is found whatever it is called, and once", () => {
  const bare = (at: string) => [`${at}/HEAD`, `${at}/config`, `${at}/hooks/x.sample`, `${at}/logs/HEAD`];
  expect(gitFolders([...bare("x/mirror.git"), ...bare(".bare"), "x/a.txt"])).toEqual([".bare", "x/mirror.git"]);
  expect(
    gitFolders([".old/HEAD", ".old/refs/heads/main", ".old/modules/part/HEAD", ".old/modules/part/config"]),
  ).toEqual([".old"]);
  expect(gitFolders(["a/HEAD", "a/packed-refs", "b/Head", "b/Config", "c/HEAD", "c/commondir"])).toEqual([
    "a",
    "b",
    "c",
  ]);
});

test("objects without the rest of their repository are found too", () => {
  const loose = `store/objects/${oid.slice(0, 2)}/${oid.slice(2)}`;
  expect(gitFolders([loose, `objects/pack/pack-${oid}.pack`])).toEqual(["objects", "store/objects"]);
});

test("ordinary files with such names are not a repository", () => {
  expect(gitFolders(["HEAD", "config", "src/HEAD", "src/objects.ts", "lib/config", "objects/ab/model.bin"])).toEqual(
    [],
  );
  expect(gitFolders(["refs/heads/x", "objects/pack/readme"])).toEqual([]);
});

test("of a folder that is itself a repository, what belongs to it is found", () => {
  expect(gitFolders(["HEAD", "config", "refs/heads/main", "notes.txt"])).toContainEqual("config");
});

test("inside means the place itself and everything below it", () => {
  const isInside = createInside(["a/b", "c"]);
  expect(["a/b", "a/b/c", "c", "c/d"].map(isInside)).toEqual([true, true, true, true]);
  expect(["a", "a/bc", "cc", "x/c"].map(isInside)).toEqual([false, false, false, false]);
});
