import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { captureTree, type TreeBase } from "../../src/workspace/capture-tree.ts";
import { createGit } from "../../src/workspace/git.ts";
import { openProjectStore } from "../../src/workspace/project-store.ts";
import { identityOf, sendTree } from "../../src/workspace/send-tree.ts";
import { createHostileProject, type HostileProject, hooksRan, pictureOf } from "../support/hostile-project.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { localProvider, localSpec } from "./local-support.ts";

/* What is on the user's desk arrives in a sandbox as it is, and the desk stays as it was. */

let project: HostileProject;
let stateDir = "";
let provider: SandboxProvider;

beforeAll(() => {
  project = createHostileProject();
  stateDir = mkdtempSync(join(tmpdir(), "state-"));
  provider = localProvider(join(stateDir, "local"));
}, 240_000);

afterAll(async () => {
  await provider.close();
  project.remove();
  rmSync(stateDir, { recursive: true, force: true });
});

const clock = systemClock;
const workspaceOf = (sandbox: Sandbox) => join(stateDir, "local/sandboxes", sandbox.id, "workspace");
const storeOf = (from: HostileProject) => openProjectStore(createGit(clock, from.env), stateDir, from.root);

/** What is expected in a sandbox: everything but what is ignored. */
function expected(from: HostileProject): Map<string, string> {
  const ignored = ["ignored", "ignored/", "ignored.txt", "other.secret"];
  return new Map(
    [...pictureOf(from.root)].filter(([path]) => !ignored.some((one) => path === one || path.startsWith("ignored/"))),
  );
}

const sorted = (picture: Map<string, string>) => [...picture].sort(([a], [b]) => (a < b ? -1 : 1));

sandboxTest(
  "a hostile project arrives exactly, and nothing of it changes or runs",
  async () => {
    const before = pictureOf(project.root, true);
    const store = await storeOf(project);
    const base = await captureTree(store, "one");
    const sandbox = await provider.create(localSpec());
    const form = await sendTree({
      store,
      base,
      from: null,
      identity: await identityOf(store),
      sandbox,
      clock,
      nonce: "send",
    });
    expect(form).toBe("repository");
    expect(sorted(pictureOf(workspaceOf(sandbox)))).toEqual(sorted(expected(project)));
    expect(sorted(pictureOf(project.root, true))).toEqual(sorted(before));
    expect(hooksRan(project)).toBe(false);

    const config = await Bun.file(join(workspaceOf(sandbox), ".git/config")).text();
    expect(config).toContain("Ada Example");
    expect(config).not.toMatch(/filter|fsmonitor|remote|credential/);
    await sandbox.terminate();
  },
  240_000,
);

sandboxTest(
  "a later tree sends the difference, and leaves nothing of the former one",
  async () => {
    const store = await storeOf(project);
    const first = await captureTree(store, "first");
    const sandbox = await provider.create(localSpec());
    const send = async (base: TreeBase, from: string | null) =>
      sendTree({ store, base, from, identity: await identityOf(store), sandbox, clock, nonce: "send" });
    await send(first, null);
    project.write("changed.txt", "changed once more\n");
    rmSync(join(project.root, "many/1"), { recursive: true });
    project.write("many/1", "a file where a folder was");
    rmSync(join(project.root, "deep"), { recursive: true });
    project.write("deep/another", "in place of a whole branch\n");
    rmSync(join(project.root, "logs"), { recursive: true });
    rmSync(join(project.root, "untracked"), { recursive: true });
    const second = await captureTree(store, "second");
    expect(second.commit).not.toBe(first.commit);
    await send(second, first.commit);
    expect(sorted(pictureOf(workspaceOf(sandbox)))).toEqual(sorted(expected(project)));
    await sandbox.terminate();
  },
  240_000,
);

sandboxTest(
  "a file behind a filter, as new as the index, is told changed or not without running the filter",
  async () => {
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

    const store = await storeOf(own);
    const { tree } = await captureTree(store, "filtered");
    const listed = (await store.run(["ls-tree", tree, "kept.lfs", "edited.lfs"])).toString();
    const exact = own.git("hash-object", "--no-filters", "edited.lfs");
    expect(listed).toBe(`100644 blob ${exact}\tedited.lfs\n100644 blob ${oid}\tkept.lfs\n`);
    expect(hooksRan(own)).toBe(false);
    own.remove();
  },
  240_000,
);

sandboxTest(
  "without git in the sandbox the files arrive all the same",
  async () => {
    const store = await storeOf(project);
    const base = await captureTree(store, "files");
    const sandbox = await provider.create(localSpec({ env: { PATH: "/home/agent/bin" } }));
    const tools = "cat gzip tar xargs mkdir rm head tail chmod";
    const link = `/bin/mkdir -p ~/bin; for tool in ${tools}; do /bin/ln -s "/usr/bin/$tool" ~/bin/; done`;
    const { exit } = await sandbox.start({ argv: ["/bin/sh", "-c", link] });
    expect(await exit).toEqual({ kind: "exited", code: 0 });
    const identity = await identityOf(store);
    expect(await sendTree({ store, base, from: null, identity, sandbox, clock, nonce: "send" })).toBe("files");
    expect(sorted(pictureOf(workspaceOf(sandbox)))).toEqual(sorted(expected(project)));
    await sandbox.terminate();
  },
  240_000,
);

test("a project without git is taken by its ignore files", async () => {
  const folder = mkdtempSync(join(tmpdir(), "plain-"));
  for (const [name, text] of [
    [".gitignore", "*.log\n"],
    ["a.txt", "a"],
    ["b.log", "b"],
  ] as const)
    writeFileSync(join(folder, name), text);
  const store = await openProjectStore(createGit(clock, project.env), stateDir, folder);
  const base = await captureTree(store, "plain");
  expect(store.isRepository).toBe(false);
  expect(base.head).toBeNull();
  expect((await store.run(["ls-tree", "--name-only", base.commit])).toString()).toBe(".gitignore\na.txt\n");
  rmSync(folder, { recursive: true });
});

test("what is too large is refused by name", async () => {
  const store = await storeOf(project);
  const small = captureTree(store, "small", { bytes: 6_000, files: 1_000 });
  await expect(small).rejects.toMatchObject({
    code: "workspace_failed",
    message: expect.stringMatching(/too large.*Largest: binary\.bin \(5 KiB\).*\.gitignore/s),
  });
});
