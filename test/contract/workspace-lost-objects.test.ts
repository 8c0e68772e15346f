import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BuiltCommits } from "../../src/workspace/collect/build-commits.ts";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { git, home, openHomeStore, repository, useHome, write } from "./home-support.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { doJob, send } from "./workspace-support.ts";

/* The user's repository loses objects that captured files were borrowed from, or our own records are damaged. */

useHome();

function committed(): void {
  repository("work");
  write("work/a.txt", "a\n");
  write("work/dir/b.txt", "b\n");
  git("work", "add", ".");
  git("work", "commit", "--quiet", "-m", "First");
}

/** What nothing reaches is gone at once, as it is for users some weeks later. */
function forget(): void {
  git("work", "reflog", "expire", "--expire=now", "--all");
  git("work", "gc", "--quiet", "--prune=now");
}

describe("files are taken again after the user", () => {
  const LOSSES: Readonly<Record<string, () => void>> = {
    "has dropped a commit and kept its files": () => {
      git("work", "reset", "--quiet", "HEAD~1");
      forget();
    },
    "has made the repository anew": () => {
      rmSync(join(home, "work/.git"), { recursive: true });
      repository("work");
    },
  };
  const CHANGES: Readonly<Record<string, () => void>> = {
    "and changed nothing": () => {},
    "and changed a file beside them, so that we have the tree of their folder": () =>
      write("work/dir/b.txt", "better\n"),
  };
  for (const [what, lose] of Object.entries(LOSSES))
    for (const [how, change] of Object.entries(CHANGES))
      test(`${what} ${how}`, async () => {
        committed();
        write("work/s.txt", "s\n");
        write("work/dir/s.txt", "s in a folder\n");
        for (const name of ["a.txt", "s.txt", "dir/s.txt"]) utimesSync(join(home, "work", name), 1e9, 1e9); // git trusts old times
        git("work", "add", ".");
        git("work", "commit", "--quiet", "-m", "Second");
        change();
        const store = await openHomeStore("work");
        const before = await captureTree(store, "before");
        lose();
        const after = await captureTree(store, "after");
        expect(after.commit).toBe(before.commit);
        expect((await store.run(["archive", after.commit])).includes("s in a folder")).toBe(true);
      });
});

describe("files are taken again when our own index", () => {
  const DAMAGES: Readonly<Record<string, (index: string) => void>> = {
    "was cut short": (index) => truncateSync(index, 40),
    "is empty": (index) => truncateSync(index, 0),
    "is something else": (index) => writeFileSync(index, "DIRC, or not\n"),
  };
  for (const [what, damage] of Object.entries(DAMAGES))
    test(what, async () => {
      committed();
      const store = await openHomeStore("work");
      const before = await captureTree(store, "before");
      damage(join(store.folder, "index"));
      expect((await captureTree(store, "after")).commit).toBe(before.commit);
    });
});

describe("a job is collected after the user", () => {
  /** Collects a job that starts from the newest commit, after the user has done something about that. */
  async function collectAfter(meanwhile: () => void): Promise<BuiltCommits> {
    committed();
    write("work/a.txt", "newer\n");
    git("work", "commit", "--quiet", "--all", "-m", "Second");
    const provider = localProvider(mkdtempSync(join(home, "sandboxes-")));
    try {
      const store = await openHomeStore("work");
      const base = await captureTree(store, "start");
      const sandbox = await provider.create(localSpec());
      await send(store, base, sandbox);
      meanwhile();
      forget();
      return await doJob({ store, base, sandbox }, "job_1", "echo mine > c.txt; git add .; git commit -q -m Mine");
    } finally {
      await provider.close();
    }
  }

  sandboxTest("has written the commit anew: its branch begins with the job's own commits, and says so", async () => {
    const built = await collectAfter(() => git("work", "commit", "--quiet", "--amend", "-m", "In other words"));
    expect([built.head, built.changed]).toEqual([null, ["c.txt"]]);
    expect(built.commits.map(({ subject }) => subject)).toEqual(["Mine"]);
    expect(built.remarks.join(" ")).toContain("not in the repository any more");
  });

  sandboxTest("has dropped the commit and its files: what can be had all the same is named", async () => {
    await expect(collectAfter(() => git("work", "reset", "--quiet", "--hard", "HEAD~1"))).rejects.toThrow(
      /commit that it started from is not in the repository any more.*mode "files" and paths/,
    );
  });
});
