import { afterAll, beforeAll, beforeEach } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { captureTree, type TreeBase } from "../../src/workspace/project/capture-tree.ts";
import { storeAt } from "./workspace-support.ts";

/* A home directory with projects in it; each test has a new one. */

export let base = "";
export let home = "";
export let env: Record<string, string> = {};
let stateDir = "";
let count = 0;

/** Makes a new home with a key in it before each test of the calling file. */
export function useHome(): void {
  beforeAll(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), "homes-")));
    stateDir = join(base, "state");
  });
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  beforeEach(() => {
    home = join(base, `users/ada${++count}`);
    env = { PATH: process.env.PATH ?? "", HOME: home, GIT_CONFIG_NOSYSTEM: "1" };
    write(".gitconfig", "[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n");
    write(".ssh/id_ed25519", "private key\n");
    write("plain/notes.txt", "notes\n");
  });
}

/** Writes a file. @param path relative to the home */
export function write(path: string, text: string): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text);
}

export const git = (folder: string, ...args: string[]) =>
  execFileSync("git", ["-C", join(home, folder), ...args], { env, encoding: "utf8", stdio: "pipe" }).trimEnd();

export function repository(folder: string): void {
  mkdirSync(join(home, folder), { recursive: true });
  git(folder, "init", "--quiet");
}

/** Opens the store of the project that contains a folder of the home. */
export const openHomeStore = (folder: string) => storeAt(join(home, folder), stateDir, env);

/** Captures a folder of the home; `names` are those of the files that are copied. */
export async function capture(folder: string): Promise<TreeBase & { readonly names: string[] }> {
  const store = await openHomeStore(folder);
  const tree = await captureTree(store, `n${count}`);
  const names = (await store.run(["ls-tree", "-r", "-z", "--name-only", tree.commit])).toString().split("\0");
  return { ...tree, names: names.filter(Boolean) };
}
