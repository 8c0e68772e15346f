import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { toText } from "../../src/workspace/paths.ts";
import type { TreeBase } from "../../src/workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { settleTree } from "../../src/workspace/sandbox/settle-tree.ts";
import { createProject } from "../support/opencode-project.ts";
import type { WorkspacePlace } from "./workspace.contract.ts";
import { captureNow, doJob, runIn, send, storeAt } from "./workspace-support.ts";

/** Commits everything with a message. */
const COMMIT = `commit() { git add -A; git -c user.name=j -c user.email=j@x commit -q --allow-empty -m "$1"; }`;

interface Case {
  readonly what: string;
  readonly script: string;
  /** Changed files that come back. */
  readonly changed: readonly string[];
  /** What is named, and a part of the reason. */
  readonly leftOut: Readonly<Record<string, string>>;
}

const CASES: readonly Case[] = [
  { what: "on another branch", script: "git switch -q -c topic; echo x > a; commit One; echo y > b; commit Two; git switch -q -", changed: [], leftOut: { "refs/heads/topic": "2 commits" } },
  { what: "on a branch that is merged, squashed or picked", script: "git switch -q -c topic; echo x > a; commit One; git switch -q main; git merge -q --squash topic; commit Squashed; git branch merged", changed: ["a"], leftOut: {} },
  { what: "on a detached HEAD that was left", script: "git checkout -q --detach; echo x > a; commit Lost; git checkout -q main", changed: [], leftOut: { commit: "a history without a branch, with 1 commit" } },
  { what: "on a detached HEAD that is checked out", script: "git checkout -q --detach; echo x > a; commit Kept", changed: ["a"], leftOut: {} },
  { what: "in a stash", script: "echo x > a; git stash -q; echo y > new; git stash -q -u", changed: [], leftOut: { "refs/stash": "2 sets of changes" } },
  { what: "under a tag alone, and under a reference of its own", script: "echo x > a; commit One; git tag v1; git update-ref refs/wip/one HEAD; git reset -q --hard HEAD~1", changed: [], leftOut: { "refs/tags/v1": "1 commit", "refs/wip/one": "1 commit" } },
  { what: "in working trees of its own", script: "git worktree add -q /tmp/out -b out; echo x > /tmp/out/a; git worktree add -q in -b in; (cd in; echo y > a; commit In); git worktree add -q --detach /tmp/loose; (cd /tmp/loose; echo z > a; commit Loose)", changed: [], leftOut: { "/tmp/out": "1 file is changed", in: "further working tree", "refs/heads/in": "1 commit", commit: "a history without a branch" } },
  { what: "in a working tree that git ignores", script: "echo trees/ >> .git/info/exclude; git worktree add -q trees/one -b one; echo x > trees/one/a", changed: [], leftOut: { "trees/": "git ignores it", "/workspace/trees/one": "1 file is changed" } },
  { what: "in a rebase that has stopped", script: "echo x > a; commit One; echo y > a; commit Two; git switch -q -c topic HEAD~2; echo z > a; commit Three; git switch -q main; git rebase -q topic || true", changed: ["a"], leftOut: { HEAD: "a rebase is under way", "refs/heads/main": "2 commits", a: "conflict markers" } },
  { what: "in a merge that has stopped", script: "git switch -q -c topic; echo x > a; echo t > t; commit One; git switch -q main; echo y > a; commit Two; git merge -q topic || true", changed: ["a", "t"], leftOut: { HEAD: "a merge is under way", a: "conflict markers", "refs/heads/topic": "1 commit" } },
  { what: "in a bisection", script: "for n in 1 2 3 4; do echo $n > a; commit $n; done; git bisect start -q >&2; git bisect bad >&2; git bisect good HEAD~4 >&2", changed: ["a"], leftOut: { HEAD: "a bisect is under way", "refs/heads/main": "2 commits" } },
  { what: "in git's index alone", script: "git rm -q --cached a; echo x > new; git add new; rm new; cp b b.old; echo y > b; git add b; mv b.old b", changed: [], leftOut: { a: "index alone", new: "index alone", b: "index alone" } },
  { what: "in files whose changes git was told not to see", script: "git update-index --assume-unchanged a; git update-index --skip-worktree b; echo x > a; echo y > b", changed: ["a", "b"], leftOut: {} },
  { what: "where its git was told that the files are elsewhere", script: "git config core.worktree /tmp; echo x > a; echo n > new", changed: ["a", "new"], leftOut: {} },
  { what: "where its git was told that there are no files", script: "echo x > a; commit One; git config core.bare true; echo y > b", changed: ["a", "b"], leftOut: {} },
  { what: "where settings for one working tree say so, with another one beside it", script: "git config extensions.worktreeConfig true; git config --worktree core.worktree /tmp/nowhere; git --work-tree=. worktree add -q /tmp/out -b out; echo y > /tmp/out/a; echo x > a", changed: ["a"], leftOut: { "/tmp/out": "1 file is changed" } },
  { what: "beside a sparse checkout", script: "git sparse-checkout set src; mkdir -p dir; echo x > src/s; echo y > dir/new", changed: ["dir/new", "src/s"], leftOut: {} },
  { what: "in repositories of its own", script: "for d in unborn born/inner born; do git init -q $d; (cd $d; echo x > f; printf '*.log\\n' > .gitignore; echo l > x.log); done; (cd born/inner; commit Inner); (cd born; commit Born; echo y > loose); git init -q 'odd\nname'; echo o > 'odd\nname/o'; git init -q src; echo better > src/s", changed: ["born/.gitignore", "born/f", "born/inner/.gitignore", "born/inner/f", "born/loose", "odd\nname/o", "src/s", "unborn/.gitignore", "unborn/f"], leftOut: { unborn: "its files are taken", born: "its files are taken", "born/inner": "its files are taken", "odd\nname": "its files are taken", src: "its files are taken", "unborn/x.log": "git ignores it", "born/x.log": "git ignores it", "born/inner/x.log": "git ignores it" } },
  { what: "on an orphan branch with nothing of the project", script: "echo x > a; commit One; git switch -q --orphan site; echo page > index.html; commit Site", changed: ["a"], leftOut: { "refs/heads/site": 'mode "files"' } },
  { what: "on an orphan branch without a commit", script: "git switch -q --orphan site; echo page > index.html", changed: [], leftOut: { "refs/heads/site": 'mode "files"' } },
  { what: "on an orphan branch with the project's files", script: "git checkout -q --orphan fresh; echo x > a; commit Fresh", changed: ["a"], leftOut: {} },
  { what: "after .git was moved", script: "echo x > a; commit One; mv .git /tmp/moved", changed: ["a"], leftOut: { ".git": "one commit" } },
  { what: "after .git was moved among the files", script: "echo x > a; commit One; mv .git old", changed: ["a"], leftOut: { ".git": "one commit", old: "settings can make git run programs" } },
  { what: "on a branch that was merged, in the usual way", script: "git switch -q -c topic; echo x > a; commit One; git switch -q main; git merge -q topic; git stash list; git tag v1", changed: ["a"], leftOut: {} },
]; // biome-ignore format: a case a line

/** Whatever a job leaves beside its work directory is named, and nothing of the project seems removed for it. */
export function elsewhereContract({ name, open, spec }: WorkspacePlace): void {
  describe(`work that a job left in a sandbox of the ${name} provider`, () => {
    const root = mkdtempSync(join(tmpdir(), "elsewhere-"));
    const who = { GIT_AUTHOR_NAME: "A", GIT_AUTHOR_EMAIL: "a@x", GIT_COMMITTER_NAME: "A", GIT_COMMITTER_EMAIL: "a@x" };
    const env = { HOME: join(root, "home"), PATH: process.env.PATH ?? "", ...who };
    let provider: SandboxProvider;
    let sandbox: Sandbox;
    let store: ProjectStore;
    let base: TreeBase;

    beforeAll(async () => {
      createProject(join(root, "project"), env, { a: "a\n", b: "b\n", "src/s": "s\n", "dir/d": "d\n" });
      store = await storeAt(join(root, "project"), join(root, "state"), env);
      base = await captureNow(store);
      provider = open(join(root, "sandboxes"));
      sandbox = await provider.create(spec());
      await send(store, base, sandbox);
      await runIn(sandbox, "cp -a . /tmp/sent");
    });
    afterAll(async () => {
      await sandbox.terminate();
      await provider.close();
      rmSync(root, { recursive: true, force: true });
    });

    const BEGIN =
      "find . -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +; rm -rf /tmp/out /tmp/loose; cp -a /tmp/sent/. .";

    test("is told from branches and tags that an environment's set-up had left", async () => {
      const fetched = "git switch -q -c upstream; echo x > a; commit One; echo y > a; commit Two; git tag -a -m v v1; git switch -q -c next; echo z > a; commit Three; git switch -q main"; // biome-ignore format: one line
      await runIn(sandbox, `${BEGIN}; ${COMMIT}\ngit config user.name s; git config user.email s@x; ${fetched}`);
      await settleTree(sandbox, "made", base.commit, systemClock);
      const work = "git switch -q next; echo n > b; commit Mine; git switch -q -c topic main; echo t > b; commit Topic; git tag v2; git switch -q main"; // biome-ignore format: one line
      const { leftOut } = await doJob({ store, base, sandbox }, "job_1", `${COMMIT}\n${work}`);
      expect(leftOut.map(({ path, why }) => [toText(path), /\d+ commits?/.exec(why)?.[0]])).toEqual([
        ["refs/heads/next", "1 commit"],
        ["refs/heads/topic", "1 commit"],
        ["refs/tags/v2", "1 commit"],
      ]);
    });

    for (const { what, script, changed, leftOut } of CASES)
      test(`${what}, comes back or is named`, async () => {
        await runIn(sandbox, BEGIN);
        const built = await doJob({ store, base, sandbox }, "job_1", `${COMMIT}\n${script}`);
        const named = built.leftOut.map(({ path, why }) => [toText(path).replace(/^[0-9a-f]{12}$/, "commit"), why]);
        const expected = Object.entries(leftOut).map(([path, why]) => [path, expect.stringContaining(why)]);
        expect(Object.fromEntries(named)).toEqual(Object.fromEntries(expected));
        expect([...built.changed].map(toText).sort()).toEqual([...changed]);
      });
  });
}
