import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { git, home, openHomeStore, repository, useHome, write } from "./home-support.ts";

/* Files that change while they are taken. */

useHome();

function committed(): void {
  repository("work");
  for (const name of ["a.txt", "b.txt", "run/kept.txt"]) write(`work/${name}`, "main\n");
  git("work", "add", ".");
  git("work", "commit", "--quiet", "-m", "First");
  git("work", "switch", "--quiet", "--create", "other");
  for (const name of ["a.txt", "b.txt"]) write(`work/${name}`, "other\n");
  git("work", "rm", "--quiet", "run/kept.txt");
  git("work", "commit", "--quiet", "-am", "Other");
  git("work", "switch", "--quiet", "main");
}

/** Does something when the files are about to be hashed, or recorded as the user's git would. */
function interrupted(store: ProjectStore, before: "hash" | "record", act: () => void): ProjectStore {
  const actIf = (isDue: boolean, args: readonly string[]) => {
    if (isDue && args.includes("update-index") && args.includes("--add")) act();
  };
  return {
    ...store,
    user(args, more) {
      actIf(before === "record", args);
      return store.user(args, more);
    },
    onFiles(index, args, more) {
      actIf(before === "hash", args);
      return store.onFiles(index, args, more);
    },
  };
}

const once = (act: () => void): (() => void) => {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
};

describe("files are taken again", () => {
  for (const moment of ["hash", "record"] as const)
    test(`where the user switches to another branch before git is to ${moment} them`, async () => {
      committed();
      write("work/b.txt", "main, changed\n");
      git("work", "commit", "--quiet", "-am", "Second");
      write("work/run/new.txt", "new\n");
      const store = await openHomeStore("work");
      const change = once(() => git("work", "switch", "--quiet", "other"));
      const base = await captureTree(interrupted(store, moment, change), "base");
      expect(base.head).toBe(git("work", "rev-parse", "other"));
      expect(String(await store.run(["show", `${base.commit}:b.txt`]))).toBe("other\n");
      expect(String(await store.run(["ls-tree", "-r", "--name-only", base.tree]))).toBe("a.txt\nb.txt\nrun/new.txt\n");
      expect(base.notes).toEqual([]);
    });
});

test("a note says so where git does not rest", async () => {
  committed();
  write("work/.git/index.lock", "");
  const base = await captureTree(await openHomeStore("work"), "base");
  expect(base.notes).toEqual([expect.stringContaining("git was at work in the repository")]);
});

describe("files that come and go are no reason for notes", () => {
  for (const moment of ["hash", "record"] as const)
    test(`where one is gone before git is to ${moment} it`, async () => {
      committed();
      write("work/run/f1", "f\n");
      write("work/run/f2", "f\n");
      const store = await openHomeStore("work");
      const remove = () => rmSync(join(home, "work/run/f1"), { force: true });
      const base = await captureTree(interrupted(store, moment, remove), "base");
      expect([base.notes, base.withheld]).toEqual([[], []]);
      expect(String(await store.run(["ls-tree", "-r", "--name-only", base.tree]))).toBe(
        "a.txt\nb.txt\nrun/f2\nrun/kept.txt\n",
      );
    });

  test("where folders are made and removed all the time", async () => {
    committed();
    const store = await openHomeStore("work");
    const folder = join(home, "work/tmp/run");
    let n = 0;
    const timer = setInterval(() => {
      for (let k = 0; k < 20; k++) {
        const path = join(folder, `f${n++ % 40}`);
        if (existsSync(path)) rmSync(path, { recursive: true });
        else {
          mkdirSync(path, { recursive: true });
          if (n % 3 > 0) writeFileSync(join(path, "x"), "x");
        }
      }
    });
    try {
      for (let k = 0; k < 2; k++) {
        const base = await captureTree(store, `base${k}`);
        expect([base.notes, base.withheld]).toEqual([[], []]);
      }
    } finally {
      clearInterval(timer);
    }
  });
});
