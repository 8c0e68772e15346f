import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FolderEntry, readFound, resolveLink, walkFolder } from "../../../src/workspace/walk-folder.ts";

/* Run under Bun and, by `walk-folder-node.test.ts`, under Node. */

const LIMITS = { entries: 1_000, depth: 20 };
let base = "";
let root = "";

/** Targets of links, by name. */
const LINKS = {
  keys: "../secret",
  key: "../secret/key",
  absolute: "/etc",
  "sub/up": "../..",
  "sub/round": ".",
  "to-sub": "sub",
  "to-file": "sub/deep/run.sh",
  chain: "to-file",
  "by-way": "to-sub/deep/run.sh",
  nowhere: "nothing",
  loop: "loop",
  "to-pipe": "pipe",
  "to-git": "sub/.git/config",
};

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "walk-")));
  root = join(base, "root");
  mkdirSync(join(base, "secret"));
  writeFileSync(join(base, "secret/key"), "private\n");
  mkdirSync(join(root, "sub/deep"), { recursive: true });
  mkdirSync(join(root, "empty"));
  mkdirSync(join(root, "sub/.git"));
  writeFileSync(join(root, "sub/.git/config"), "token\n");
  writeFileSync(join(root, "a.txt"), "a\n");
  writeFileSync(join(root, "sub/deep/run.sh"), "#!/bin/sh\n");
  chmodSync(join(root, "sub/deep/run.sh"), 0o755);
  writeFileSync(Buffer.from(`${root}/caf\xe9`, "latin1"), "odd\n");
  execFileSync("mkfifo", [join(root, "pipe")]);
  for (const [name, to] of Object.entries(LINKS)) symlinkSync(to, join(root, name));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

async function entriesOf(folder: string, limits = LIMITS): Promise<FolderEntry[]> {
  const entries: FolderEntry[] = [];
  for await (const entry of walkFolder(Buffer.from(folder), limits)) entries.push(entry);
  return entries;
}

describe("a walk through a folder", () => {
  test("finds everything in it, follows no link, opens no pipe and skips .git", async () => {
    const kinds = (await entriesOf(root)).map(({ kind, path }) => `${kind} ${path}`).sort();
    const links = Object.keys(LINKS).map((name) => `link ${name}`);
    const others = ["file a.txt", "file caf\xe9", "file sub/deep/run.sh", "special pipe"];
    expect(kinds).toEqual([...links, ...others, "folder empty", "folder sub", "folder sub/deep"].sort());
  });

  test("reports the size of a file and whether it is executable, and whether a folder is empty", async () => {
    const entries = await entriesOf(root);
    const of = (path: string) => entries.find((one) => one.path === path);
    expect(of("sub/deep/run.sh")).toEqual({ kind: "file", path: "sub/deep/run.sh", bytes: 10, isExecutable: true });
    expect(of("a.txt")).toEqual({ kind: "file", path: "a.txt", bytes: 2, isExecutable: false });
    expect(of("empty")).toEqual({ kind: "folder", path: "empty", isEmpty: true });
    expect(of("sub")).toEqual({ kind: "folder", path: "sub", isEmpty: false });
  });

  test("fails at its limits", async () => {
    await expect(entriesOf(root, { entries: 10, depth: 20 })).rejects.toMatchObject({
      message: "it holds more than 10 files and folders",
    });
    const shallow = await entriesOf(root, { entries: 1_000, depth: 1 });
    expect(shallow.find(({ path }) => path === "sub")).toMatchObject({ kind: "closed" });
    expect(shallow.some(({ path }) => path === "sub/deep")).toBe(false);
  });

  test("reports a missing folder", async () => {
    expect(await entriesOf(join(base, "none"))).toEqual([
      { kind: "closed", path: "", why: "could not be read (ENOENT)" },
    ]);
  });
});

const isRoot = process.getuid?.() === 0;

describe("a folder without permissions", () => {
  test("is reported, and everything else is found", async () => {
    const folder = mkdtempSync(join(base, "closed-"));
    mkdirSync(join(folder, "locked"));
    for (const name of ["locked/in", "shut", "open"]) writeFileSync(join(folder, name), "x");
    for (const name of ["locked", "shut"]) chmodSync(join(folder, name), 0);
    const kinds = (await entriesOf(folder)).map(({ kind, path }) => `${kind} ${path}`).sort();
    const content = await readFound(folder, "shut", 10);
    chmodSync(join(folder, "locked"), 0o700);
    if (isRoot) expect(kinds).toEqual(["file locked/in", "file open", "file shut", "folder locked"]);
    else expect(kinds).toEqual(["closed locked", "file open", "file shut"]);
    expect(typeof content === "string" ? content : content.toString()).toBe(
      isRoot ? "x" : "could not be opened (EACCES)",
    );
  });
});

describe("a link that was found", () => {
  const LEADS: Readonly<Record<string, string>> = {
    "to-file": "sub/deep/run.sh",
    chain: "sub/deep/run.sh",
    "by-way": "sub/deep/run.sh",
    keys: "is a link that leads out of the folder",
    key: "is a link that leads out of the folder",
    absolute: "is a link that leads out of the folder",
    "sub/up": "is a link that leads out of the folder",
    nowhere: "is a link that leads nowhere",
    loop: "is a link that leads nowhere",
    "to-sub": "is a link to a folder or to something special",
    "sub/round": "is a link to a folder or to something special",
    "to-pipe": "is a link to a folder or to something special",
    "to-git": "is a link into a repository",
  };
  for (const [name, expected] of Object.entries(LEADS))
    test(`${name} → ${LINKS[name as keyof typeof LINKS]}`, async () => {
      const found = await resolveLink(root, name);
      expect(typeof found === "string" ? found : found.path).toBe(expected);
    });

  test("to a folder whose name begins like the root's leads out of the root", async () => {
    mkdirSync(join(base, "root-beside"));
    writeFileSync(join(base, "root-beside/x"), "x");
    symlinkSync("../root-beside/x", join(root, "sibling"));
    expect(await resolveLink(root, "sibling")).toBe("is a link that leads out of the folder");
    unlinkSync(join(root, "sibling"));
  });
});

describe("a file that was found", () => {
  const text = (content: Buffer | string) => (typeof content === "string" ? content : content.toString());

  test("is read, whatever its name", async () => {
    expect(text(await readFound(root, "sub/deep/run.sh", 100))).toBe("#!/bin/sh\n");
    expect(text(await readFound(root, "caf\xe9", 100))).toBe("odd\n");
    expect(await readFound(root, "a.txt", 1)).toBe("grew while it was read");
    expect(await readFound(root, "none", 1)).toBe("could not be opened (ENOENT)");
  });

  test("is not read if a link, a pipe or a folder has replaced it", async () => {
    expect(await readFound(root, "key", 100)).toBe("was replaced by a link");
    expect(await readFound(root, "pipe", 100)).toBe("is no longer a regular file");
    expect(await readFound(root, "sub", 100)).toBe("is no longer a regular file");
  });

  test("is not read if a link has replaced a folder above it", async () => {
    for (const path of ["keys/key", "sub/up/secret/key", "sub/up/secret/../secret/key", "../secret/key"])
      expect(await readFound(root, path, 100)).toBe("was moved, or is reached through a link");
    renameSync(join(root, "sub/deep"), join(base, "deep-elsewhere"));
    symlinkSync("../../deep-elsewhere", join(root, "sub/deep"));
    expect(await readFound(root, "sub/deep/run.sh", 100)).toBe("was moved, or is reached through a link");
    unlinkSync(join(root, "sub/deep"));
    renameSync(join(base, "deep-elsewhere"), join(root, "sub/deep"));
  });
});
