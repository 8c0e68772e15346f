import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { buildCommits } from "../../src/workspace/collect/build-commits.ts";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { previewMerge } from "../../src/workspace/collect/preview-merge.ts";
import { decideTarget } from "../../src/workspace/collect/target.ts";
import { writePatch } from "../../src/workspace/collect/write-patch.ts";
import { identityOf } from "../../src/workspace/project/identity.ts";
import type { ProjectStore } from "../../src/workspace/project/project-store.ts";
import { forgetChanges, type JobChanges, readChanges } from "../../src/workspace/project/stored-changes.ts";
import { fetchChanges } from "../../src/workspace/sandbox/fetch-changes.ts";
import { type HostileProject, hooksRan, pictureOf } from "../support/hostile-project.ts";
import {
  captureNow,
  type Desk,
  differences,
  doJob,
  everything,
  openDesk,
  pictureIn,
  runIn,
  send,
  withoutBranches,
  withoutGit,
  withoutIgnored,
  withSandbox,
} from "./workspace-support.ts";

/** A provider of sandboxes under test. */
export interface WorkspacePlace {
  readonly name: string;
  /** @param rootDir absolute, a folder of its own */
  readonly open: (rootDir: string) => SandboxProvider;
  readonly spec: () => SandboxSpec;
}

const WORK = `
echo better > changed.txt; git add -A; git commit -q -m "Make it better

Because it was not."
rm staged.txt; mkdir new; echo x > 'new/ünï "x"'; chmod +x 'new/ünï "x"'; ln -s ../changed.txt new/link
printf 'a\r\nb\r\n' > new/crlf.txt
echo kept > ignored.txt`;

/**
 * The user's project arrives in a sandbox unchanged, a job's changes come back as a branch or a patch, and the project
 * itself stays as it was.
 */
export function workspaceContract({ name, open, spec }: WorkspacePlace): void {
  describe(`a project in sandboxes of the ${name} provider`, () => {
    let project: HostileProject;
    let desk: Desk;
    let provider: SandboxProvider;
    let store: ProjectStore;

    beforeAll(async () => {
      desk = await openDesk(open);
      ({ project, provider, store } = desk);
    });

    afterAll(async () => {
      await desk.close();
    });

    const files = () => withoutIgnored(pictureOf(project.root));

    /** Collects a job that has run `WORK`. */
    const collect = async (jobID: string) => {
      const base = await captureNow(store);
      const built = await withSandbox(provider, spec(), async (sandbox) => {
        await send(store, base, sandbox);
        return doJob({ store, base, sandbox }, jobID, WORK);
      });
      return { base, built };
    };

    test("arrives unchanged, and so does a later state sent as a difference, and nothing in it is changed or run", async () => {
      const before = everything(project);
      const first = await captureNow(store, "first");
      await withSandbox(provider, spec(), async (sandbox) => {
        expect(await send(store, first, sandbox)).toBe("repository");
        expect(differences(await pictureIn(sandbox), files())).toEqual([]);
        expect(differences(everything(project), before)).toEqual([]);
        expect(hooksRan(project)).toBe(false);
        const config = (await runIn(sandbox, "cat .git/config")).toString();
        expect(config).toContain("Ada Example");
        expect(config).not.toMatch(/filter|fsmonitor|remote|credential/);

        project.write("changed.txt", "changed once more\n");
        rmSync(join(project.root, "many/1"), { recursive: true });
        project.write("many/1", "a file where a folder was");
        rmSync(join(project.root, "deep"), { recursive: true });
        project.write("deep/another", "in place of a whole branch\n");
        rmSync(join(project.root, "logs"), { recursive: true });
        rmSync(join(project.root, "untracked"), { recursive: true });
        const second = await captureNow(store, "second");
        expect(second.commit).not.toBe(first.commit);
        await send(store, second, sandbox, first.commit);
        expect(differences(await pictureIn(sandbox), files())).toEqual([]);
      });
    });

    test("arrives also where there is no git", async () => {
      const base = await captureNow(store);
      await withSandbox(provider, spec(), async (sandbox) => {
        expect(await send(store, base, await withoutGit(sandbox))).toBe("files");
        expect(differences(await pictureIn(sandbox), files())).toEqual([]);
      });
    });

    test("comes back as a branch of the tree that the job started from and its commits, and nothing else changes", async () => {
      const before = withoutBranches(everything(project));
      const { built } = await collect("job_branch");
      expect(await createBranch(store, "job_branch", built, "pack")).toBe("agents/job_branch");
      expect(differences(withoutBranches(everything(project)), before)).toEqual([]);
      expect(hooksRan(project)).toBe(false);

      const git = (...args: string[]) => project.git("-c", "core.fsmonitor=false", ...args);
      const trailer = "%(trailers:key=Job,valueonly,separator=%x2C)";
      expect(git("log", `--format=%an <%ae>|%s|${trailer}`, "main..agents/job_branch").split("\n")).toEqual([
        "Ada Example <ada@example.com>|Work that was not committed|job_branch",
        "Ada Example <ada@example.com>|Make it better|job_branch",
        "Ada Example <ada@example.com>|The working tree job_branch started from|job_branch",
      ]);
      expect(git("show", "agents/job_branch~1:changed.txt")).toBe("better");
      const changes = git("diff", "--raw", "-z", "agents/job_branch~2", "agents/job_branch").split("\0");
      expect(changes.filter((part) => part && !part.startsWith(":")).sort()).toEqual([
        "changed.txt",
        "new/crlf.txt",
        "new/link",
        'new/ünï "x"',
        "staged.txt",
      ]);
      expect(git("cat-file", "-p", "agents/job_branch:new/crlf.txt")).toBe("a\nb"); // as the project's attributes say
      expect(git("fsck", "--strict")).not.toMatch(/error|missing/);
      expect(await createBranch(store, "job_branch", built, "pack")).toBe("agents/job_branch"); // again: nothing to do
    });

    test("comes back with the name of everything that a commit cannot hold", async () => {
      const base = await captureNow(store);
      const make = `mkdir -p logs/deep ignored build/x; mkfifo pipe; echo x > ignored/result; echo '*' > build/.gitignore
        echo x > build/x/y; mkfifo build/pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")' 2>/dev/null || mkfifo sock
        for n in $(seq 1200); do echo $n > "$n.secret"; done; git init -q own; echo x > new.txt`;
      const built = await withSandbox(provider, spec(), async (sandbox) => {
        await send(store, base, sandbox);
        return doJob({ store, base, sandbox }, "job_named", make);
      });
      const named = new Map(built.leftOut.map(({ path, why }) => [path, why]));
      const ignored = 'git ignores it; take it with mode "files" and paths';
      expect([...named].filter(([path]) => !path.endsWith(".secret")).sort()).toEqual([
        ["build/", ignored],
        ["ignored/", ignored],
        ["logs/deep", "it is an empty folder, which git cannot hold"],
        ["own", "the job made it a repository of its own"],
        ["pipe", "it is a pipe, socket or device"],
        ["sock", "it is a pipe, socket or device"],
      ]);
      const secrets = [...named.keys()].filter((path) => path.endsWith(".secret")).length;
      const [note = ""] = built.notes;
      expect(note).toMatch(/^\d+ more files and folders than are listed as left out$/);
      expect(secrets + Number.parseInt(note, 10)).toBe(1_200 + 1); // and build/.gitignore, whose folder is named
      expect(built.changed).toEqual(["new.txt"]);
    });

    test("comes back whole while it is parked, fetched again and collected twice at once", async () => {
      const base = await captureNow(store);
      const identity = await identityOf(store);
      const jobID = "job_together";
      const build = (changes: JobChanges, scratchID: string) =>
        buildCommits({ store, base, changes, jobID, scratchID, identity });
      await withSandbox(provider, spec(), async (sandbox) => {
        await send(store, base, sandbox);
        const fetch = (scratchID: string) => fetchChanges({ store, base, jobID, sandbox, clock, scratchID });
        await runIn(sandbox, "echo first > mine.txt");
        const first = await fetch("work_1");
        await runIn(sandbox, "echo second > mine.txt");
        const second = await fetch("work_2"); // as parking does, or another process
        const built = await Promise.all([build(first, "build_1"), build(second, "build_2")]);
        const branches = built.map((one, n) => createBranch(store, jobID, one, `pack_${n}`));
        expect(await Promise.all(branches)).toEqual(["agents/job_together", "agents/job_together"]);
        const again = await build((await readChanges(store, jobID)) as JobChanges, "build_3");
        expect(await createBranch(store, jobID, again, "pack_3")).toBe("agents/job_together");
        expect(project.git("show", "agents/job_together:mine.txt")).toBe("second");
        await forgetChanges(store, jobID); // as when the copy outside the sandbox is out of date
        expect((await build(second, "build_4")).tip).toBe(again.tip);
      });
    });

    test("comes back as a patch that applies to the tree that the job started from", async () => {
      const { base, built } = await collect("job_patch");
      const git = (...args: string[]) => project.git("-c", "core.fsmonitor=false", ...args);
      await writePatch(store, built, decideTarget(store.root, "out/work.patch"), "patch");
      git("apply", "--check", "out/work.patch");
      const preview = { scratchID: "preview", identity: await identityOf(store) };
      expect(await previewMerge(store, base, built, preview)).toEqual({ kind: "clean" });
      const was = readFileSync(join(project.root, "changed.txt"), "utf8");
      project.write("changed.txt", "the user went on\n");
      expect(await previewMerge(store, base, built, preview)).toEqual({ kind: "conflicts", paths: ["changed.txt"] });
      project.write("changed.txt", was);
      await writePatch(store, built, "out/work.patch", "patch"); // again: in place of the earlier one
      await expect(writePatch(store, built, "changed.txt", "patch")).rejects.toThrow("is not a patch");
      expect(readFileSync(join(project.root, "changed.txt"), "utf8")).toBe(was);
      rmSync(join(project.root, "out"), { recursive: true });
    });
  });
}
