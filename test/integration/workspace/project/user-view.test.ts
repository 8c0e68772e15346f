import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { captureTree } from "../../../../src/workspace/project/capture-tree.ts";
import { env, git, home, repository, useHome, write } from "../../../contract/home-support.ts";
import { storeAt } from "../../../contract/workspace-support.ts";

useHome();

const LINES = Array.from({ length: 60 }, (_, n) => `line ${n}`);
const crlf = (lines: readonly string[]) => lines.map((line) => `${line}\r\n`).join("");

describe("the tree that a job's branch starts from is what `git add --all` would record", () => {
  const lines = LINES.map((line) => `${line}\n`).join("");
  const SHAPES: Readonly<Record<string, (work: (...args: string[]) => string) => void>> = {
    "in a merge with conflicts": (work) => {
      work("switch", "--quiet", "--create", "other");
      write("work/a.txt", `theirs\n${lines}`);
      write("work/b.txt", "theirs\n");
      work("commit", "--quiet", "-am", "Theirs");
      work("switch", "--quiet", "main");
      write("work/a.txt", `ours\n${lines}`);
      rmSync(join(home, "work/b.txt"));
      work("commit", "--quiet", "-am", "Ours");
      expect(() => work("merge", "--quiet", "other")).toThrow();
    },
    "with files that are to be added, and files and folders in place of each other": (work) => {
      write("work/later.txt", "later\n");
      work("add", "--intent-to-add", "later.txt");
      rmSync(join(home, "work/b.txt"));
      write("work/b.txt/inside", "inside\n");
      rmSync(join(home, "work/sub"), { recursive: true });
      write("work/sub", "a file\n");
      symlinkSync("a.txt", join(home, "work/link"));
    },
    "with a split index, which stays as it is": (work) => {
      work("update-index", "--split-index");
      work("config", "core.splitIndex", "true");
      write("work/a.txt", crlf(LINES));
      write("work/new.txt", "new\n");
    },
    "in a sparse checkout with a sparse index": (work) => {
      work("sparse-checkout", "set", "--cone", "--sparse-index", "sub");
      expect(existsSync(join(home, "work/away"))).toBe(false);
      write("work/sub/c.txt", "changed\n");
      write("work/sub/new.txt", "new\n");
    },
    "with core.autocrlf=input, attributes of all places, and a file that was committed with CR LF": (work) => {
      work("-c", "core.autocrlf=false", "commit", "--quiet", "--allow-empty", "-m", "x");
      write("work/.git/info/attributes", "*.info text eol=crlf\n");
      write("attributes", "*.mine text\n*.raw -text\n");
      work("config", "core.attributesFile", join(home, "attributes"));
      work("config", "core.autocrlf", "input");
      for (const name of ["x.info", "x.mine", "x.raw", "x.txt", "kept.txt"])
        write(`work/${name}`, crlf(["changed", ...LINES]));
    },
  };

  for (const [what, change] of Object.entries(SHAPES))
    test(what, async () => {
      repository("work");
      for (const path of ["a.txt", "b.txt", "sub/c.txt", "away/d.txt"]) write(`work/${path}`, lines);
      write("work/kept.txt", crlf(LINES));
      git("work", "add", "--all");
      git("work", "commit", "--quiet", "-m", "First");
      change((...args) => git("work", ...args));
      const before = git("work", "ls-files", "--stage", "-v");
      const folder = mkdtempSync(join(tmpdir(), "exact-"));
      const store = await storeAt(join(home, "work"), folder, env);
      const { tree } = await captureTree(store, "base");
      expect(git("work", "ls-files", "--stage", "-v")).toBe(before);
      git("work", "add", "--all");
      const expected = git("work", "write-tree");
      expect((await store.run(["diff-tree", "-r", expected, tree])).toString()).toBe("");
      rmSync(folder, { recursive: true });
    });
});
