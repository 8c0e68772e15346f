import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import { createHostileProject, type HostileProject, hooksRan } from "../support/hostile-project.ts";
import { storeAt, storeOf } from "./workspace-support.ts";

/* How a project is captured, whatever it contains. `workspace.contract.ts` tests that it arrives in sandboxes. */

let project: HostileProject;
let stateDir = "";

beforeAll(() => {
  project = createHostileProject();
  stateDir = mkdtempSync(join(tmpdir(), "state-"));
});

afterAll(() => {
  project.remove();
  rmSync(stateDir, { recursive: true, force: true });
});

test("tells whether a filtered file as new as the index has changed without running the filter", async () => {
  const own = createHostileProject();
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:11\nsize 5\n";
  own.write("pointer", pointer);
  own.write("kept.lfs", "what the pointer stands for\n");
  own.write("edited.lfs", "what the pointer stands for\n");
  const oid = own.git("hash-object", "-w", "pointer");
  const run = (...args: string[]) => own.git("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", ...args);
  run("config", "filter.lfs.clean", "cat pointer");
  run("config", "filter.lfs.required", "true");
  run("add", "kept.lfs", "edited.lfs");
  expect(own.git("ls-files", "--stage", "kept.lfs")).toContain(oid);
  own.write("edited.lfs", "longer than what the pointer stood for\n");
  run("config", "filter.lfs.clean", `sh -c 'touch ${join(own.root, "../hooks-ran")}; cat'`);
  const { mtime } = statSync(join(own.root, "kept.lfs"));
  utimesSync(join(own.root, ".git/index"), mtime, mtime);
  rmSync(join(own.root, "../hooks-ran"), { force: true });

  const store = await storeOf(own, stateDir);
  const { tree, notes } = await captureTree(store, "filtered");
  const listed = (await store.run(["ls-tree", tree, "kept.lfs", "edited.lfs"])).toString();
  // Without the filter nobody knows what git would record of the edited one: neither its bytes nor nothing.
  expect(listed).toBe(`100644 blob ${oid}\tedited.lfs\n100644 blob ${oid}\tkept.lfs\n`);
  expect(notes.join()).toContain("no such program is run: edited.lfs");
  expect(hooksRan(own)).toBe(false);
  own.remove();
});

test("names sockets and pipes that it leaves out, unless git ignores them, and counts what it does not name", async () => {
  const own = createHostileProject();
  const make = `mkdir -p run/deep; echo x > run/deep/x; mkfifo run/deep/pipe run/other.secret
    for n in $(seq 230); do mkfifo "run/p$n"; done`;
  execFileSync("/bin/sh", ["-ec", make], { cwd: own.root });
  const { notes } = await captureTree(await storeOf(own, stateDir), "special");
  expect(notes.join("\n")).toMatch(/^sockets, pipes and devices were left out: .*run\/deep\/pipe.* and \d{3} more$/m);
  expect(notes.join("\n")).not.toContain("secret");
  own.remove();
});

test("captures a project without git by its ignore files", async () => {
  const folder = mkdtempSync(join(tmpdir(), "plain-"));
  for (const [name, text] of [
    [".gitignore", "*.log\n"],
    ["a.txt", "a"],
    ["b.log", "b"],
  ] as const)
    writeFileSync(join(folder, name), text);
  const store = await storeAt(folder, stateDir, project.env);
  const base = await captureTree(store, "plain");
  expect(store.isRepository).toBe(false);
  expect(base.head).toBeNull();
  expect((await store.run(["ls-tree", "--name-only", base.commit])).toString()).toBe(".gitignore\na.txt\n");
  rmSync(folder, { recursive: true });
});

test("refuses a project that is too large, naming its largest files", async () => {
  const store = await storeOf(project, stateDir);
  const small = captureTree(store, "small", { bytes: 6_000, files: 1_000 });
  await expect(small).rejects.toMatchObject({
    code: "workspace_failed",
    message: expect.stringMatching(/too large.*Largest: binary\.bin \(5 KiB, tracked by git\).*\.gitignore/s),
  });
});
