import { expect, test } from "bun:test";
import { posix } from "node:path";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { selectLinked } from "../../../../src/workspace/collect/linked-files.ts";
import { FILE_LIMITS, type FileLimits, parsePatterns } from "../../../../src/workspace/collect/select-files.ts";
import { followPath } from "../../../../src/workspace/links.ts";
import type { ListedFile } from "../../../../src/workspace/sandbox/list-files.ts";

const WORKDIR = "/workspace";

/** @param tree what is at each path: text or the size of a file, or `-> target` of a link */
function filesOf(tree: Readonly<Record<string, string | number>>): ListedFile[] {
  return Object.entries(tree).map(([path, content]) => {
    const to = typeof content === "string" && content.startsWith("-> ") ? content.slice(3) : "";
    const bytes = to ? 0 : typeof content === "number" ? content : content.length;
    return { path, kind: to ? "link" : "file", bytes, isExecutable: false, to };
  });
}

/** As find(1) does it, for which links on the way to a root count for nothing. */
function listAt(files: readonly ListedFile[], root: string): ListedFile[] {
  const links = new Map(files.flatMap(({ path, to }) => (to ? [[path, to]] : [])));
  const folder = posix.dirname(root) === "." ? "" : posix.dirname(root);
  const { end } = followPath(folder, (path) => links.get(path), WORKDIR);
  const real = root === "" ? "" : posix.join(end ?? "", posix.basename(root));
  const found = files.filter(({ path }) => real === "" || path === real || path.startsWith(`${real}/`));
  return found.map((file) => ({ ...file, path: root + file.path.slice(real.length) }));
}

async function collect(
  tree: Readonly<Record<string, string | number>>,
  paths: readonly string[],
  more: Partial<FileLimits> = {},
) {
  const all = filesOf(tree);
  const { files, links, leftOut, nowhere } = await selectLinked({
    request: parsePatterns(paths, WORKDIR),
    workdir: WORKDIR,
    limits: { ...FILE_LIMITS, ...more },
    isInstructionAtTarget: (path) => path.endsWith("AGENTS.md"),
    async list(roots) {
      if (roots.includes("data")) throw new PluginError("collect_failed", "there are too many", { retryable: false });
      return roots.flatMap((root) => listAt(all, root));
    },
  });
  return {
    files: files.map(({ path }) => path).sort(),
    links: links.map(({ path, to }) => `${path} -> ${to}`).sort(),
    leftOut: leftOut.map(({ path }) => path).sort(),
    nowhere: nowhere.map(({ path }) => path),
    why: nowhere.map(({ why }) => why),
  };
}

const CHECKPOINTS = {
  "ckpt/step-1/model.pt": "V",
  "ckpt/step-2/model.pt": "W",
  "ckpt/step-2/AGENTS.md": "do",
  "ckpt/latest": "-> step-2",
  "ckpt/newest": "-> latest",
  "ckpt/best.pt": "-> latest/model.pt",
  "ckpt/last.pt": "-> /workspace/ckpt/step-1/model.pt",
};
const LEFT_OUT = "what it leads to was left out, or is more than there was room for";
const NOTHING = { files: [], links: [], leftOut: [], nowhere: [], why: [] };

test("what a link leads to comes with it: a file, a folder, over other links, and by an absolute path", async () => {
  expect(await collect(CHECKPOINTS, ["ckpt/best.pt"])).toEqual({
    ...NOTHING,
    files: ["ckpt/latest/model.pt"],
    links: ["ckpt/best.pt -> latest/model.pt"],
  });
  const folder = { ...NOTHING, files: ["ckpt/step-2/model.pt"], leftOut: ["ckpt/step-2/AGENTS.md"] };
  expect(await collect(CHECKPOINTS, ["ckpt/latest/**"])).toEqual({ ...folder, links: ["ckpt/latest -> step-2"] });
  expect(await collect(CHECKPOINTS, ["ckpt/newest"])).toEqual({
    ...folder,
    links: ["ckpt/latest -> step-2", "ckpt/newest -> latest"],
  });
  expect(await collect(CHECKPOINTS, ["ckpt/last.pt"])).toEqual({
    ...NOTHING,
    files: ["ckpt/step-1/model.pt"],
    links: ["ckpt/last.pt -> step-1/model.pt"],
  });
  expect(await collect(CHECKPOINTS, ["ckpt/*t"])).toEqual({
    ...folder,
    files: ["ckpt/step-1/model.pt", "ckpt/step-2/model.pt"],
    links: [
      "ckpt/best.pt -> latest/model.pt",
      "ckpt/last.pt -> step-1/model.pt",
      "ckpt/latest -> step-2",
      "ckpt/newest -> latest",
    ],
  });
});

test("files are found in a folder that is reached over links, and the links come with them", async () => {
  const runs = {
    "runs/7/a.pt": "A",
    "runs/7/b.txt": "B",
    "runs/7/deep/c.pt": "C",
    "runs/8/a.pt": "other",
    "out/latest": "-> newest",
    "out/newest": "-> ../runs/7",
    "out/volume": "-> /mnt/data",
    "out/here": "-> ..",
    "out/gone": "-> ../runs/9",
    "out/1": "-> 2",
    "out/2": "-> 3",
    "out/3": "-> 4",
    "out/4": "-> 5",
    "out/5": "-> 6",
    "out/6": "-> 7",
    "out/7": "-> ../runs/7",
  };
  const ways = ["out/latest -> newest", "out/newest -> ../runs/7"];
  expect(await collect(runs, ["out/latest/*.pt"])).toEqual({ ...NOTHING, files: ["runs/7/a.pt"], links: ways });
  const deep = await collect(runs, ["out/latest/deep/*.pt", "out/newest/?.txt"]);
  expect(deep).toEqual({ ...NOTHING, files: ["out/latest/deep/c.pt", "runs/7/b.txt"], links: [ways[1] as string] });
  expect(await collect(runs, ["out/here/runs/8/*"])).toMatchObject({ files: ["out/here/runs/8/a.pt"] });
  // Nothing matches: the link alone would be of no use.
  expect(await collect(runs, ["out/latest/*.bin"])).toEqual(NOTHING);
  expect(await collect(runs, ["out/volume/*.pt"])).toEqual({ ...NOTHING, leftOut: ["out/volume"] });
  expect(await collect(runs, ["out/gone/*.pt"])).toMatchObject({
    nowhere: ["out/gone"],
    why: ["it is a link that leads nowhere"],
  });
  const long = await collect(runs, ["out/1/*.pt"]);
  expect([long.files, long.links.length, long.nowhere]).toEqual([["runs/7/a.pt"], 7, []]);
});

test("each of a hundred patterns finds its files over a link of its own", async () => {
  const all = Array.from({ length: 100 }, (_, n) => n);
  const files = all.flatMap((n) => [[`out/${n}`, `-> ../runs/${n}`], ...all.map((m) => [`runs/${n}/${m}.pt`, "x"])]);
  const patterns = all.map((n) => `out/${n}/*.pt`);
  expect((await collect(Object.fromEntries(files), patterns)).files).toHaveLength(10_000);
});

test("a link that leads to nothing that was taken is named, and one that leads out is left out", async () => {
  const tree = {
    "a/gone": "-> none",
    "a/above": "-> ../a",
    "a/loop": "-> loop",
    "a/over": "-> out",
    "a/out": "-> /etc",
    "a/up": "-> ../../etc",
    "a/git": "-> ../.git/config",
  };
  expect(await collect(tree, ["a"])).toEqual({
    ...NOTHING,
    links: ["a/above -> ../a", "a/gone -> none", "a/loop -> loop", "a/over -> out"],
    leftOut: ["a/git", "a/out", "a/up"],
    nowhere: ["a/gone", "a/loop", "a/over"],
    why: Array(3).fill("it is a link that leads nowhere"),
  });
});

test("what there is no room for does not keep back what was asked for", async () => {
  const tree = {
    "data/1": 600,
    "big/1": 600,
    "x/data": "-> ../data",
    "x/big": "-> ../big",
    "x/own": 500,
    small: 1,
    "x/small": "-> ../small",
  };
  expect(await collect(tree, ["x/own", "x/big", "x/small"], { bytes: 1_000 })).toMatchObject({
    files: ["small", "x/own"],
    nowhere: ["x/big"],
    why: [LEFT_OUT],
  });
  expect(await collect(tree, ["x/own", "x/data"])).toMatchObject({
    files: ["x/own"],
    nowhere: ["x/data"],
    why: [expect.stringContaining("too many files to list")],
  });
  expect(await collect(tree, ["x/big"], { fileBytes: 100 })).toMatchObject({
    leftOut: ["big/1"],
    nowhere: ["x/big"],
    why: [LEFT_OUT],
  });
});

test("a link whose target was not looked for is not said to lead nowhere", async () => {
  const all = Array.from({ length: 502 }, (_, n) => n);
  const files = Object.fromEntries(
    all.flatMap((n) => [
      [`to/${n}`, "x"],
      [`x/${n}`, `-> ../to/${n}`],
    ]),
  );
  expect(await collect(files, ["x"])).toMatchObject({ files: all.map((n) => `to/${n}`).sort(), nowhere: [] });
  const chain = Object.fromEntries(all.slice(0, 7).flatMap((n) => [[`${n}/next`, `-> ../${n + 1}`]]));
  expect(await collect(chain, ["0"])).toMatchObject({
    nowhere: ["5/next"],
    why: [expect.stringContaining("more than 5 links")],
  });
});
