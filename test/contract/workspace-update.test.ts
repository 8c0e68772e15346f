import { afterAll, beforeAll, expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { buildCommits } from "../../src/workspace/collect/build-commits.ts";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { captureTree, type TreeBase } from "../../src/workspace/project/capture-tree.ts";
import { identityOf } from "../../src/workspace/project/identity.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { fetchChanges } from "../../src/workspace/sandbox/fetch-changes.ts";
import { updateTree } from "../../src/workspace/sandbox/update-tree.ts";
import type { HostileProject } from "../support/hostile-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";
import { type Desk, openDesk, runIn, send } from "./workspace-support.ts";

/* A job's changes are moved onto a newer state of the project, and are never lost or moved only in part. */

let project: HostileProject;
let desk: Desk;
let provider: SandboxProvider;
let store: ProjectStore;
let first: TreeBase;
let second: TreeBase;

beforeAll(async () => {
  desk = await openDesk(localProvider);
  ({ project, provider, store } = desk);
  project.write("both.txt", "one\ntwo\nthree\nfour\nfive\n");
  first = await captureTree(store, "first");
  project.write("both.txt", "ONE\ntwo\nthree\nfour\nfive\n");
  project.write("theirs.txt", "new\n");
  rmSync(join(project.root, "untracked"), { recursive: true });
  second = await captureTree(store, "second");
});

afterAll(async () => {
  await desk.close();
});

const NEVER = new AbortController().signal;
const update = (sandbox: Sandbox, from: readonly TreeBase[], to: TreeBase, signal = NEVER) =>
  updateTree({ store, from, to, sandbox, clock, scratchID: sandbox.id, signal });

const run = async (sandbox: Sandbox, script: string): Promise<string> => (await runIn(sandbox, script)).toString();

/** Uses a sandbox with the project's first state in which a job has run this script. */
async function inJob(script: string, use: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await provider.create(localSpec());
  await send(store, first, sandbox);
  await run(sandbox, script);
  await use(sandbox);
  await sandbox.terminate();
}

async function collect(sandbox: Sandbox, jobID: string, base = second, formerBases = [first]) {
  const changes = await fetchChanges({ store, base, formerBases, jobID, sandbox, clock, scratchID: "work" });
  const startedFrom = changes.base === second.commit ? second : first;
  const identity = await identityOf(store);
  const built = await buildCommits({ store, base: startedFrom, changes, jobID, scratchID: "build", identity });
  return { branch: await createBranch(store, jobID, built, "pack"), built, changes };
}

const git = (...args: string[]) => project.git("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", ...args);
const last = (from: string | null) => git("log", "--format=%s", "-2", `${from}`).split("\n");

sandboxTest("rebases commits, keeps uncommitted changes uncommitted, and the branch has both sides", () =>
  inJob(
    `sed -i s/five/FIVE/ both.txt; git commit -q -a -m "Shout the end"
       echo half > begun.txt; echo more >> both.txt; git checkout -q -b topic; echo kept > ignored.txt`,
    async (sandbox) => {
      expect(await update(sandbox, [first], second)).toEqual({ kind: "clean" });
      const after = await run(sandbox, "cat both.txt theirs.txt begun.txt ignored.txt; git status --short; git branch");
      expect(after).toBe(
        "ONE\ntwo\nthree\nfour\nFIVE\nmore\nnew\nhalf\nkept\n M both.txt\n?? begun.txt\n  main\n* topic\n",
      );
      expect(await update(sandbox, [first], second)).toEqual({ kind: "same" });
      const { branch, built } = await collect(sandbox, "job_clean");
      expect(built.changed).toEqual(["begun.txt", "both.txt"]);
      expect(last(branch)).toEqual(["Work that was not committed", "Shout the end"]);
      expect(git("show", `${branch}:both.txt`)).toBe("ONE\ntwo\nthree\nfour\nFIVE\nmore");
    },
  ),
);

sandboxTest("finds the files where they are, whatever the settings of the job's repository say", () =>
  inJob(
    `git config core.bare true; git config core.worktree /tmp/away; mkdir /tmp/away; echo away > /tmp/away/both.txt
       echo half > begun.txt; sed -i s/five/FIVE/ both.txt`,
    async (sandbox) => {
      expect(await update(sandbox, [first], second)).toEqual({ kind: "clean" });
      expect(await run(sandbox, "cat both.txt theirs.txt begun.txt; ls /tmp/away; cat /tmp/away/*")).toBe(
        "ONE\ntwo\nthree\nfour\nFIVE\nnew\nhalf\nboth.txt\naway\n",
      );
      expect((await collect(sandbox, "job_away")).built.changed).toEqual(["begun.txt", "both.txt"]);
    },
  ),
);

sandboxTest("moves a job without changes to the new state, including deletions", () =>
  inJob(":", async (sandbox) => {
    expect(await update(sandbox, [first], second)).toEqual({ kind: "clean" });
    expect(await run(sandbox, "git status --short; git log --format=%s; find untracked -type f")).toBe(
      "The project as it was\n",
    );
    expect((await collect(sandbox, "job_idle")).built.changed).toEqual([]);
  }),
);

sandboxTest(
  "in a conflict, applies all changes to the new state with conflict markers, and keeps the former commits",
  () =>
    inJob(
      `echo a > mine.txt; git add .; git commit -q -m "Mine"; sed -i s/one/uno/ both.txt; git commit -q -a -m "Clash"
       echo b >> mine.txt; git commit -q -a -m "On top"; echo half > begun.txt`,
      async (sandbox) => {
        expect(await update(sandbox, [first], second)).toEqual({ kind: "conflicts", paths: ["both.txt"] });
        const after = await run(
          sandbox,
          "cat mine.txt begun.txt; grep -c '^[<=>]' both.txt; git log --format=%s before-update",
        );
        expect(after).toStartWith("a\nb\nhalf\n3\nWork that was not committed");
        expect(after).toEndWith("\nOn top\nClash\nMine\nThe project as it was\n");
        await expect(update(sandbox, [second, first], first)).rejects.toThrow("conflicts in it are not resolved");
        await run(sandbox, "printf 'uno\\ntwo\\n' > both.txt; git add -A; git commit -q -m Resolved");
        const { branch, built } = await collect(sandbox, "job_clash");
        expect(built.changed).toEqual(["begun.txt", "both.txt", "mine.txt"]);
        expect(last(branch)[0]).toBe("Resolved");
        expect(git("show", `${branch}:theirs.txt`)).toBe("new");
      },
    ),
);

sandboxTest("applies a history with merges to the new state as a whole", () =>
  inJob(
    `git checkout -q -b side; echo a > mine.txt; git add .; git commit -q -m "Mine"; git checkout -q main
       sed -i s/five/FIVE/ both.txt; git commit -q -a -m "Shout"; git merge -q --no-ff --no-commit side
       echo merged > mine.txt; git add .; git commit -q -m "Merge with a change"`,
    async (sandbox) => {
      expect(await update(sandbox, [first], second)).toEqual({ kind: "conflicts", paths: [] });
      expect(await run(sandbox, "cat both.txt mine.txt; git status --short")).toBe(
        "ONE\ntwo\nthree\nfour\nFIVE\nmerged\nM  both.txt\nA  mine.txt\n",
      );
    },
  ),
);

const COMMITTED = 'sed -i s/five/FIVE/ both.txt; git commit -q -a -m "Shout the end"; echo half > begun.txt';
const DONE = "ONE\ntwo\nthree\nfour\nFIVE\nhalf\n?? begun.txt\n";
const look = "cat both.txt begun.txt; git status --short; git for-each-ref refs/parallel-agents";

sandboxTest(
  "loses nothing when an update is killed while the files are the project's: neither in a collection nor in the next update",
  () =>
    inJob(
      `${COMMITTED}; git add -A; git commit -q -m "Work that was not committed, put aside for an update"
       git update-ref refs/parallel-agents/update HEAD; git reset -q --hard HEAD~2; touch .git/index.lock`,
      async (sandbox) => {
        const { built } = await collect(sandbox, "job_killed");
        expect(built.changed).toEqual(["begun.txt", "both.txt"]);
        expect(await update(sandbox, [first], second)).toEqual({ kind: "clean" });
        expect(await run(sandbox, look)).toBe(DONE);
      },
    ),
);

sandboxTest("undoes an update that is stopped at any moment, and can repeat it", () =>
  inJob(COMMITTED, async (sandbox) => {
    const before = await run(sandbox, look);
    let stopped = 0;
    for (const delayMs of [0, 50, 100, 150, 200, 300]) {
      const updated = await update(sandbox, [first], second, AbortSignal.timeout(delayMs)).catch(() => null);
      if (updated) break;
      stopped++;
      expect(await run(sandbox, look)).toBe(before);
    }
    expect(stopped).toBeGreaterThan(0);
    await update(sandbox, [first], second);
    expect(await run(sandbox, look)).toBe(DONE);
  }),
);

const REFUSED: readonly (readonly [string, string, string])[] = [
  [
    "has an ignored file in the way",
    "mkdir -p logs; echo theirs.txt >> .git/info/exclude; echo x > theirs.txt",
    "theirs.txt",
  ],
  ["has a history of its own", "git checkout -q --orphan other; git commit -q -m other", "no longer holds"],
  ["is in the middle of a merge", "touch .git/MERGE_HEAD", "under way"],
  ["has no repository", "rm -rf .git", "not a git repository"],
];

for (const [what, script, why] of REFUSED)
  sandboxTest(`an update of a job that ${what} changes nothing and says why`, () =>
    inJob(`echo half > begun.txt; sed -i s/one/uno/ both.txt; ${script}`, async (sandbox) => {
      const look =
        "cat both.txt begun.txt; git status --short 2>/dev/null || true; git log --format=%s 2>/dev/null || true";
      const before = await run(sandbox, look);
      await expect(update(sandbox, [first], second)).rejects.toThrow(why);
      expect(await run(sandbox, look)).toBe(before);
    }),
  );

sandboxTest("says at once that a pipe among the job's files would block git for ever", () =>
  inJob("mkdir -p sub/.git/objects sub/.git/refs; mkfifo sub/.git/HEAD", async (sandbox) => {
    await expect(update(sandbox, [first], second)).rejects.toThrow("pipes in places that git reads");
    expect(await run(sandbox, "grep -c one both.txt; ls theirs.txt 2>&1 || true")).toContain("No such file");
  }),
);

sandboxTest("recognises the base that a sandbox from an older snapshot starts from", () =>
  inJob("echo old > mine.txt", async (sandbox) => {
    const { built, changes } = await collect(sandbox, "job_older");
    expect(changes.base).toBe(first.commit);
    expect(built.changed).toEqual(["mine.txt"]);
  }),
);
