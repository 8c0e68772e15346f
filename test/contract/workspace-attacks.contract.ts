import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import type { TreeBase } from "../../src/workspace/capture-tree.ts";
import { makeBranch } from "../../src/workspace/make-branch.ts";
import type { ProjectStore } from "../../src/workspace/project-store.ts";
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

const LIMIT_MS = 240_000;
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

/** What a job made comes back, whatever it did to its sandbox, and nothing else does. */
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
    }, LIMIT_MS);

    afterAll(async () => {
      await sandbox.terminate();
      await desk.close();
    });

    /** A job that runs this script in the project's tree, collected. */
    async function collect(jobID: string, script: string) {
      await runIn(sandbox, AGAIN);
      return doJob({ store, base, sandbox }, jobID, script);
    }

    for (const [what, script] of HOSTILE)
      test(
        `by a job that ${what}: its files get into its branch, and nothing else anywhere`,
        async () => {
          const before = withoutBranches(everything(project));
          const jobID = `job_${what.replace(/\W/g, "_")}`;
          const built = await collect(jobID, script);
          await makeBranch(store, jobID, built, "pack");
          expect(differences(withoutBranches(everything(project)), before)).toEqual([]);
          expect(hooksRan(project)).toBe(false);
          expect(existsSync("/tmp/x")).toBe(false);
          expect(project.git("-c", "core.fsmonitor=false", "show", `agents/${jobID}:changed.txt`)).toBe("evil");
          const names = project.git("ls-tree", "-r", "--name-only", `agents/${jobID}`).split("\n");
          expect(names.filter((name) => /(^|\/)\.git(\/|$)|^inner/i.test(name))).toEqual([]);
        },
        LIMIT_MS,
      );

    test(
      "by nobody: a change of the same size, in the same second as the job's index was written, is not missed",
      async () => {
        const second = "touch -d @1500000000";
        const built = await collect(
          "job_same_second",
          `git config core.trustctime false
          echo one > changed.txt; ${second} changed.txt; git commit -qam One; ${second} .git/index
          echo two > changed.txt; ${second} changed.txt`,
        );
        await makeBranch(store, "job_same_second", built, "pack");
        expect(project.git("-c", "core.fsmonitor=false", "show", "agents/job_same_second:changed.txt")).toBe("two");
      },
      LIMIT_MS,
    );
  });
}
