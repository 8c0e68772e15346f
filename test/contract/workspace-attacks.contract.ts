import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { refuseHooks } from "../../src/workspace/collect/target.ts";
import { toText } from "../../src/workspace/paths.ts";
import type { TreeBase } from "../../src/workspace/project/capture-tree.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { type HostileProject, hooksRan } from "../support/hostile-project.ts";
import type { WorkspacePlace } from "./workspace.contract.ts";
import {
  captureNow,
  type Desk,
  differences,
  doJob,
  everything,
  openDesk,
  runIn,
  send,
  withoutBranches,
} from "./workspace-support.ts";

const KEEP = "cp -a . /tmp/kept";
const AGAIN = "find . -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +; cp -a /tmp/kept/. .";

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

/** A job's files come back whatever it did to its sandbox, and nothing else does. */
export function workspaceAttacks({ name, open, spec }: WorkspacePlace): void {
  describe(`a project in sandboxes of the ${name} provider, attacked`, () => {
    let project: HostileProject;
    let desk: Desk;
    let provider: SandboxProvider;
    let store: ProjectStore;
    let base: TreeBase;
    let sandbox: Sandbox;

    beforeAll(async () => {
      desk = await openDesk(open);
      ({ project, provider, store } = desk);
      base = await captureNow(store);
      sandbox = await provider.create(spec());
      await send(store, base, sandbox);
      await runIn(sandbox, KEEP);
    });

    afterAll(async () => {
      await sandbox.terminate();
      await desk.close();
    });

    /** Collects a job that has run this script in the project's tree. */
    async function collect(jobID: string, script: string) {
      await runIn(sandbox, AGAIN);
      return doJob({ store, base, sandbox }, jobID, script);
    }

    for (const [what, script] of HOSTILE)
      test(`by a job that ${what}: its files get into its branch, and nothing else anywhere`, async () => {
        const before = withoutBranches(everything(project));
        const jobID = `job_${what.replace(/\W/g, "_")}`;
        const built = await collect(jobID, script);
        await createBranch(store, jobID, built, "pack");
        expect(differences(withoutBranches(everything(project)), before)).toEqual([]);
        expect(hooksRan(project)).toBe(false);
        expect(existsSync("/tmp/x")).toBe(false);
        expect(project.git("-c", "core.fsmonitor=false", "show", `agents/${jobID}:changed.txt`)).toBe("evil");
        const names = project.git("ls-tree", "-r", "--name-only", `agents/${jobID}`).split("\n");
        expect(names.filter((name) => /(^|\/)\.git(\/|$)|^inner/i.test(name))).toEqual([]);
      });

    test("by a job that brings files that tools load on their own: each is named, however it comes", async () => {
      project.git("config", "core.hooksPath", "tools/hooks");
      const built = await collect(
        "job_auto_loaded",
        `mkdir -p .github/workflows .opencode/plugin tools/editor sub
          printf x | tee .envrc .github/workflows/ci.yml .opencode/plugin/evil.ts sub/AGENTS.md .opencode/parallel-agents.jsonc > tools/editor/tasks.json
          ln -s tools/way .vscode; ln -s editor tools/way; ln -s ../../.. tools/out; ln -s .zed .zed; ln -s changed.txt CLAUDE.md; echo obey > changed.txt; ln -s elsewhere "$(printf '.Hus\\342\\200\\213ky')"
          printf '{"scripts":{"test":"a","postinstall":"evil"}}' > package.json; printf '{"scripts":{"test":"b"}}' > sub/package.json
          ln -s ../sub/package.json tools/package.json; mkdir tools/hooks; echo x > tools/hooks/pre-commit; echo plain > plain.txt; rm -f .gitattributes`,
      );
      await expect(refuseHooks(store, "tools/Hooks/x.patch")).rejects.toThrow("git runs hooks from there");
      await refuseHooks(store, "tools/hooks.patch");
      project.git("config", "--unset", "core.hooksPath");
      const instructions = "agents take it for instructions";
      expect(Object.fromEntries(built.attention.map(({ path, who }) => [toText(path), who]))).toEqual({
        ".envrc": "shells, interpreters or package managers load or run it",
        ".github/workflows/ci.yml": "continuous integration runs it",
        ".Hus\u200bky": "git or its hooks use it",
        ".opencode/parallel-agents.jsonc": "agents load settings, tools or instructions from it",
        ".opencode/plugin/evil.ts": "agents load settings, tools or instructions from it",
        ".vscode": "editors load or run it",
        ".zed": "editors load or run it",
        "CLAUDE.md": instructions,
        "changed.txt": instructions,
        "package.json": "installing packages runs its scripts: postinstall",
        "sub/AGENTS.md": instructions,
        "tools/editor/tasks.json": "editors load or run it",
        "tools/hooks/pre-commit": "git runs hooks from its folder",
        "tools/package.json": "installing packages may run its scripts, which were not read",
      });
    });

    test("by a job that puts hooks where links lead, both in a configured folder and in the default one", async () => {
      const [link, hook] = [join(project.root, "lent"), join(project.root, ".git/hooks/pre-push")];
      mkdirSync(join(project.root, "tools/own"), { recursive: true });
      symlinkSync("tools", link);
      symlinkSync("../../scripts/deep/pre-push", hook);
      const script = `mkdir -p tools/own scripts/deep; printf x | tee tools/own/pre-commit scripts/deep/other > scripts/deep/pre-push; ln -s tools new`;
      const attention = async (id: string) =>
        (await collect(id, script)).attention.map(({ path, who }) => [toText(path), who]);
      const who = "git runs hooks from its folder";
      expect(await attention("job_default")).toEqual([["scripts/deep/pre-push", who]]);
      await expect(refuseHooks(store, "scripts/deep/pre-push")).rejects.toThrow("git runs hooks from there");
      await expect(refuseHooks(store, "scripts")).rejects.toThrow("git runs hooks from there");
      await refuseHooks(store, "scripts/other");
      for (const configured of ["lent/own", join(project.root, "lent/../lent/own")]) {
        project.git("config", "core.hooksPath", configured);
        expect(await attention("job_linked")).toEqual([["tools/own/pre-commit", who]]);
        await expect(refuseHooks(store, "tools/own/x")).rejects.toThrow("git runs hooks from there");
        await refuseHooks(store, "scripts/deep");
      }
      project.git("config", "core.hooksPath", "new/own");
      expect(await attention("job_way")).toContainEqual(["new", who]);
      await expect(refuseHooks(store, "new")).rejects.toThrow("git runs hooks from there");
      project.git("config", "--unset", "core.hooksPath");
      for (const path of [link, hook]) rmSync(path);
      rmSync(join(project.root, "tools/own"), { recursive: true });
    });

    test("by a job that makes repositories among its files: their files are taken and each is named, with or without a commit", async () => {
      const built = await collect(
        "job_repositories",
        `echo 1 > one.txt; git add one.txt; git commit -q -m Own
          for name in unborn "$(printf 'odd\\nname')" low/er deep/er; do git init -q "$name"; echo x > "$name/f"; done
          git init -q born; git -C born -c user.name=x -c user.email=x commit -q --allow-empty -m x; printf 'ignored/\\n' >> .gitignore; git init -q ignored; echo 2 > two.txt`,
      );
      const why = "the job made it a repository of its own: its files are taken, its history is not";
      expect(Object.fromEntries(built.leftOut.map((left) => [toText(left.path), left.why]))).toEqual({
        born: "the job made it a repository of its own",
        "ignored/": 'git ignores it; take it with mode "files" and paths',
        unborn: why,
        "odd\nname": why,
        "low/er": why,
        "deep/er": why,
      });
      expect(built.commits.map(({ subject }) => subject)).toEqual(["Own", "Work that was not committed"]);
      expect(built.changed.map(toText)).toEqual(
        expect.arrayContaining(["deep/er/f", "low/er/f", "odd\nname/f", "one.txt", "two.txt", "unborn/f"]),
      );
    });

    test("by pipes in a nested repository, which would block git for ever: they are named at once", async () => {
      const pipes = "mkdir -p sub/.git/objects sub/.git/refs; mkfifo sub/.git/HEAD; echo x > x.txt";
      await expect(collect("job_pipes", pipes)).rejects.toThrow("pipes in places that git reads");
    });

    test("by a job that speaks for others in its commit messages: those lines are removed, and the removal is reported", async () => {
      const built = await collect(
        "job_claims",
        `echo 1 > one.txt; git add -A; git commit -q -m "$(printf 'One\n\nSigned-off-by: Ada Example\n <ada@example.com>\nCo-authored-by: Grace <g@example.org>\nFixes: 1')"
          echo 2 > two.txt; git add -A; git -c user.name=Linus -c user.email=l@example.org commit -q --signoff -m Two`,
      );
      await createBranch(store, "job_claims", built, "pack");
      const git = (...args: string[]) => project.git("-c", "core.fsmonitor=false", ...args);
      expect(git("log", "--format=%an|%cn|%B", "-2", "agents/job_claims")).toBe(
        "Ada Example|Ada Example|Two\n\nJob: job_claims\n\nAda Example|Ada Example|One\n\nFixes: 1\n\nJob: job_claims",
      );
      expect(git("cat-file", "commit", "agents/job_claims")).not.toMatch(/gpgsig|Linus/);
      expect(built.notes).toEqual(["lines of its commit messages that spoke for somebody (sign-offs, reviews): 3"]);
    });

    test("by nobody: a change that keeps the size, in the second in which the job's index was written, is not missed", async () => {
      const second = "touch -d @1500000000";
      const built = await collect(
        "job_same_second",
        `git config core.trustctime false
          echo one > changed.txt; ${second} changed.txt; git commit -qam One; ${second} .git/index
          echo two > changed.txt; ${second} changed.txt`,
      );
      await createBranch(store, "job_same_second", built, "pack");
      expect(project.git("-c", "core.fsmonitor=false", "show", "agents/job_same_second:changed.txt")).toBe("two");
    });
  });
}
