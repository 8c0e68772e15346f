import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { buildCommits } from "../../src/workspace/build-commits.ts";
import { captureTree, type TreeBase } from "../../src/workspace/capture-tree.ts";
import { gatherWork } from "../../src/workspace/gather-work.ts";
import { createGit } from "../../src/workspace/git.ts";
import { makeBranch } from "../../src/workspace/make-branch.ts";
import { makePatch } from "../../src/workspace/make-patch.ts";
import { previewMerge } from "../../src/workspace/preview-merge.ts";
import { openProjectStore, type ProjectStore } from "../../src/workspace/project-store.ts";
import { identityOf, sendTree } from "../../src/workspace/send-tree.ts";
import { decideTarget } from "../../src/workspace/target.ts";
import { createHostileProject, type HostileProject, hooksRan, pictureOf } from "../support/hostile-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";

/* What a job made comes back as a branch or a patch, whatever it did to its sandbox, and nothing else changes. */

let project: HostileProject;
let stateDir = "";
let provider: SandboxProvider;
let store: ProjectStore;
let base: TreeBase;

const clock = systemClock;

beforeAll(async () => {
  project = createHostileProject();
  stateDir = mkdtempSync(join(tmpdir(), "state-"));
  provider = localProvider(join(stateDir, "local"));
  store = await openProjectStore(createGit(clock, project.env), stateDir, project.root);
  base = await captureTree(store, "base");
}, 240_000);

afterAll(async () => {
  await provider.close();
  project.remove();
  rmSync(stateDir, { recursive: true, force: true });
});

/** A job that runs this script in the project's tree, collected. */
async function collect(jobID: string, script: string) {
  const sandbox = await provider.create(localSpec());
  const identity = await identityOf(store);
  await sendTree({ store, base, from: null, identity, sandbox, clock, nonce: "send" });
  await run(sandbox, script);
  const work = await gatherWork({ store, base, jobID, sandbox, clock, nonce: "work" });
  await sandbox.terminate();
  const built = await buildCommits({ store, base, work, jobID, nonce: "build", identity });
  return { work, built, identity };
}

async function run(sandbox: Sandbox, script: string): Promise<void> {
  const child = await sandbox.start({ argv: ["/bin/sh", "-ec", script] });
  let said = "";
  for await (const { bytes } of child.output) said += Buffer.from(bytes).toString();
  expect([await child.exit, said]).toEqual([{ kind: "exited", code: 0 }, expect.any(String)]);
}

const WORK = `
echo better > changed.txt; git add -A; git commit -q -m "Make it better

Because it was not."
rm staged.txt; mkdir new; echo x > 'new/ünï "x"'; chmod +x 'new/ünï "x"'; ln -s ../changed.txt new/link
printf 'a\r\nb\r\n' > new/crlf.txt
echo kept > ignored.txt`;

/** Everything but what a branch adds: its reference, its log and objects. */
const withoutBranch = () =>
  [...pictureOf(project.root, true)]
    .filter(([path]) => !/^\.git\/(objects|refs\/heads\/agents|logs\/refs\/heads\/agents)/.test(path))
    .sort();

sandboxTest(
  "a branch holds the tree the job started from and its commits, and nothing else changes",
  async () => {
    const before = withoutBranch();
    const { built } = await collect("job_branch", WORK);
    expect(await makeBranch(store, "job_branch", built, "pack")).toBe("agents/job_branch");
    expect(withoutBranch()).toEqual(before);
    expect(hooksRan(project)).toBe(false);

    project.git("config", "--unset", "core.fsmonitor"); // what follows is git as the user runs it
    const log = project.git(
      "log",
      "--format=%an <%ae>|%s|%(trailers:key=Job,valueonly,separator=%x2C)",
      "main..agents/job_branch",
    );
    expect(log.split("\n")).toEqual([
      "Ada Example <ada@example.com>|Work that was not committed|job_branch",
      "Ada Example <ada@example.com>|Make it better|job_branch",
      "Ada Example <ada@example.com>|The working tree job_branch started from|job_branch",
    ]);
    expect(project.git("show", "agents/job_branch~1:changed.txt")).toBe("better");
    const changes = project.git(
      "-c",
      "core.quotePath=false",
      "diff",
      "--raw",
      "-z",
      "agents/job_branch~2",
      "agents/job_branch",
    );
    expect(
      changes
        .split("\0")
        .filter((part) => part && !part.startsWith(":"))
        .sort(),
    ).toEqual(["changed.txt", "new/crlf.txt", "new/link", 'new/ünï "x"', "staged.txt"]);
    expect(project.git("cat-file", "-p", "agents/job_branch:new/crlf.txt")).toBe("a\r\nb");
    expect(project.git("fsck", "--strict")).not.toMatch(/error|missing/);
    expect(await makeBranch(store, "job_branch", built, "pack")).toBe("agents/job_branch"); // again: nothing to do
  },
  240_000,
);

sandboxTest(
  "a patch applies to the tree the job started from",
  async () => {
    const { built, identity } = await collect("job_patch", WORK);
    await makePatch(store, "job_patch", built, decideTarget(store.root, "out/work.patch"), []);
    project.git("apply", "--check", "out/work.patch");
    const preview = { jobID: "job_patch", nonce: "preview", identity };
    expect(await previewMerge(store, base, built, preview)).toEqual({ kind: "clean" });
    project.write("changed.txt", "the user went on\n");
    expect(await previewMerge(store, base, built, preview)).toEqual({ kind: "conflicts", paths: ["changed.txt"] });
    project.write("changed.txt", "changed, not staged\n");
    await makePatch(store, "job_patch", built, "out/work.patch", []); // again: in place of the earlier one
    await expect(makePatch(store, "job_patch", built, "changed.txt", [])).rejects.toThrow("is no patch");
    expect(readFileSync(join(project.root, "changed.txt"), "utf8")).toBe("changed, not staged\n");
    rmSync(join(project.root, "out"), { recursive: true });
  },
  240_000,
);

const HOSTILE: readonly (readonly [string, string])[] = [
  ["deletes its repository", "rm -rf .git; echo evil > changed.txt"],
  [
    "makes another history",
    "rm -rf .git; git init -q; git add -A; git -c user.name=x -c user.email=x commit -q -m other; echo evil > changed.txt",
  ],
  ["breaks its repository", "echo evil > changed.txt; rm -rf .git/objects/pack; echo junk > .git/HEAD"],
  [
    "names a tree's entry .git",
    `
    blob=$(echo evil | git hash-object -w --stdin)
    sub=$(printf '100644 blob %s\\tconfig\\n' $blob | git mktree)
    tree=$({ git ls-tree HEAD; printf '040000 tree %s\\t.git\\n' $sub; } | git mktree)
    git update-ref HEAD $(git commit-tree -p HEAD -m evil $tree); echo evil > changed.txt`,
  ],
  [
    "sets filters and hooks",
    `
    printf '* filter=evil diff=evil\\n' > .gitattributes
    git config filter.evil.clean "sh -c 'echo evil'"; git config core.hooksPath /tmp; git config core.fsmonitor "touch /tmp/x"
    echo evil > changed.txt; git add -A; git commit -q -m evil`,
  ],
  [
    "clones into itself",
    "git init -q inner; git -C inner -c user.name=x -c user.email=x commit -q --allow-empty -m x; echo evil > changed.txt",
  ],
];

for (const [what, script] of HOSTILE)
  sandboxTest(
    `a job that ${what} gets its files into its branch, and nothing else anywhere`,
    async () => {
      const before = withoutBranch();
      const jobID = `job_${what.replace(/\W/g, "_")}`;
      const { built } = await collect(jobID, script);
      await makeBranch(store, jobID, built, "pack");
      expect(withoutBranch()).toEqual(before);
      expect(hooksRan(project)).toBe(false);
      expect(existsSync("/tmp/x")).toBe(false);
      expect(project.git("-c", "core.fsmonitor=false", "show", `agents/${jobID}:changed.txt`)).toBe("evil");
      const names = project.git("ls-tree", "-r", "--name-only", `agents/${jobID}`).split("\n");
      expect(names.filter((name) => /(^|\/)\.git(\/|$)|^inner/i.test(name))).toEqual([]);
    },
    240_000,
  );
