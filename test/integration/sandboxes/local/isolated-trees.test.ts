import { afterEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filterProgram, thisProcessor } from "../../../../src/sandboxes/local/bubblewrap/call-filter/filter-program.ts";
import { createIsolatedTrees } from "../../../../src/sandboxes/local/bubblewrap/isolated-trees.ts";
import { readSystemFolders } from "../../../../src/sandboxes/local/bubblewrap/lent/system-folders.ts";
import { programArgs } from "../../../../src/sandboxes/local/bubblewrap/root-filesystem.ts";
import { findTool } from "../../../../src/sandboxes/local/host-tools.ts";
import { canIsolate } from "../../../support/modal-server/machine.ts";

const root = mkdtempSync(join(tmpdir(), "opa-test-trees-"));
const processor = thisProcessor();
const nowhere = { home: "/", neverLent: [], project: null, inside: [] };
const filter = processor ? filterProgram(processor) : new Uint8Array();
const trees = createIsolatedTrees(findTool("bwrap") ?? "", filter, () => programArgs(readSystemFolders(nowhere)));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function folders(name: string, count: number): string[] {
  const made = Array.from({ length: count }, (_, at) => join(root, name, String(at)));
  for (const path of made) mkdirSync(path, { recursive: true });
  return made;
}

test.skipIf(!canIsolate())("empty folders are copied with their modes and times, beside others", async () => {
  const from = folders("from", 5);
  const to = folders("to", 5);
  const [plain = "", hidden = "", link = "", empty = "", closed = ""] = from;
  writeFileSync(join(plain, "*"), "a file with the name of a pattern");
  writeFileSync(join(hidden, "..x"), "");
  symlinkSync("nowhere", join(link, ".link"));
  chmodSync(empty, 0o770);
  utimesSync(empty, 1_000_000, 2_000_000);
  chmodSync(closed, 0o700);
  const copied = await trees.copy(from.map((path, at) => ({ from: path, to: to[at] as string })));
  expect(copied).toEqual({ leftOut: [], leftOutCount: 0 });
  expect(to.map((path) => readdirSync(path))).toEqual([["*"], ["..x"], [".link"], [], []]);
  expect(to.slice(3).map((path) => lstatSync(path).mode & 0o7777)).toEqual([0o770, 0o700]);
  expect(lstatSync(to[3] as string).mtimeMs).toBe(2_000_000_000);
});

test.skipIf(!canIsolate())("trees at rest are copied as they are, links, pipes and modes too", async () => {
  const from = ["workspace", "home"].map((name) => join(root, "from", name));
  const to = ["workspace", "home"].map((name) => join(root, "to", name));
  for (const path of [...from, ...to]) mkdirSync(path, { recursive: true });
  const [work = "", home = ""] = from;
  writeFileSync(join(work, "file"), "text", { mode: 0o751 });
  linkSync(join(work, "file"), join(work, "same"));
  symlinkSync("/etc/passwd", join(work, "link"));
  spawnSync("mkfifo", [join(home, "pipe")]);
  chmodSync(home, 0o750);
  const copied = await trees.copy(
    from.map((path, at) => ({ from: path, to: to[at] as string })),
    { isAtRest: true },
  );
  expect(copied).toEqual({ leftOut: [], leftOutCount: 0 });
  const file = lstatSync(join(root, "to/workspace/file"));
  expect([file.mode & 0o777, file.nlink]).toEqual([0o751, 2]);
  expect(lstatSync(join(root, "to/workspace/link")).isSymbolicLink()).toBe(true);
  expect(lstatSync(join(root, "to/home/pipe")).isFIFO()).toBe(true);
  expect(lstatSync(join(root, "to/home")).mode & 0o777).toBe(0o750);
});

test.skipIf(!canIsolate())(
  "what a plain copy cannot take is taken by one in a sandbox, into empty folders",
  async () => {
    const from = join(root, "from", "workspace");
    const to = join(root, "to", "workspace");
    for (const path of [from, to]) mkdirSync(path, { recursive: true });
    // Paths beyond what the kernel takes at once: `cp` alone leaves the file at the end out.
    const half = Array.from({ length: 10 }, () => "d".repeat(250)).join("/");
    const make = 'cd "$1"; for _ in 1 2; do mkdir -p "$2"; cd "$2"; done; echo far > far; cd "$1"; echo text > file';
    spawnSync("bash", ["-c", make, "make", from, half]);
    const { ino } = lstatSync(to);
    const copied = await trees.copy([{ from, to }], { isAtRest: true });
    expect(copied).toEqual({ leftOut: [], leftOutCount: 0 });
    expect(lstatSync(to).ino).toBe(ino); // a sandbox may be starting around it
    const { stdout } = spawnSync("find", [to, "-type", "f", "-printf", "%f "], { encoding: "utf8" });
    expect(stdout.split(" ").filter(Boolean).sort()).toEqual(["far", "file"]);
  },
);

test.skipIf(!canIsolate())("what is removed takes nothing with it that a link in it leads to", async () => {
  const [tree = "", kept = ""] = folders("tree", 2);
  writeFileSync(join(kept, "file"), "");
  symlinkSync(kept, join(tree, "link"));
  mkdirSync(join(tree, "a", "b"), { recursive: true });
  chmodSync(join(tree, "a"), 0);
  await trees.remove([tree, join(root, "nowhere")]);
  expect([readdirSync(join(root, "tree")), readdirSync(kept)]).toEqual([["1"], ["file"]]);
});
