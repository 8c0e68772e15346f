import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock as clock } from "../../src/shared/clock.ts";
import { type BuiltCommits, buildCommits } from "../../src/workspace/collect/build-commits.ts";
import { createGit } from "../../src/workspace/git.ts";
import { captureTree, type TreeBase } from "../../src/workspace/project/capture-tree.ts";
import { findProject } from "../../src/workspace/project/find-project.ts";
import { identityOf } from "../../src/workspace/project/identity.ts";
import { openProjectStore, type ProjectStore } from "../../src/workspace/project/project-store.ts";
import { fetchChanges } from "../../src/workspace/sandbox/fetch-changes.ts";
import { sendTree, type TreeForm } from "../../src/workspace/sandbox/send-tree.ts";
import { createHostileProject, type HostileProject, pictureOf } from "../support/hostile-project.ts";

/* Takes a hostile project into sandboxes and back, for the tests of the workspace. */

export const storeOf = (project: HostileProject, stateDir: string): Promise<ProjectStore> =>
  storeAt(project.root, stateDir, project.env);

/** Opens the store of the project that contains this folder. */
export async function storeAt(folder: string, stateDir: string, env: Readonly<Record<string, string>>) {
  const git = createGit(clock, env);
  const homes = { own: env.HOME ? [env.HOME] : [], others: [] };
  const found = await findProject(git, folder, homes);
  if (found.kind === "none") throw new Error(found.why);
  return openProjectStore(git, stateDir, found);
}

export async function send(
  store: ProjectStore,
  base: TreeBase,
  sandbox: Sandbox,
  commit: string | null = null,
): Promise<TreeForm> {
  const identity = await identityOf(store);
  const from = commit === null ? null : ({ commit, form: "repository", emptyFolders: null } as const);
  return sendTree({ store, base, from, identity, sandbox, clock, scratchID: `send-${sandbox.id}` });
}

/** Runs a command in a sandbox, which must succeed, and returns its output. */
export async function runIn(sandbox: Sandbox, script: string): Promise<Buffer> {
  const child = await sandbox.start({ argv: ["/bin/sh", "-ec", script] });
  const said = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, bytes } of child.output) said[stream].push(bytes);
  const exit = await child.exit;
  expect({ exit, stderr: Buffer.concat(said.stderr).toString() }).toEqual({
    exit: { kind: "exited", code: 0 },
    stderr: expect.any(String),
  });
  return Buffer.concat(said.stdout);
}

/** Collects a job that has run this script in a sandbox with the base. */
export async function doJob(
  { store, base, sandbox }: { store: ProjectStore; base: TreeBase; sandbox: Sandbox },
  jobID: string,
  script: string,
): Promise<BuiltCommits> {
  await runIn(sandbox, script);
  const changes = await fetchChanges({ store, base, jobID, sandbox, clock, scratchID: "work" });
  return buildCommits({ store, base, changes, jobID, scratchID: "build", identity: await identityOf(store) });
}

/** A hostile project, its store, and a provider of sandboxes for its jobs. */
export interface Desk {
  readonly project: HostileProject;
  readonly store: ProjectStore;
  readonly provider: SandboxProvider;
  close(): Promise<void>;
}

export async function openDesk(open: (rootDir: string) => SandboxProvider): Promise<Desk> {
  const project = createHostileProject();
  const stateDir = mkdtempSync(join(tmpdir(), "state-"));
  const provider = open(join(stateDir, "sandboxes"));
  return {
    project,
    provider,
    store: await storeOf(project, stateDir),
    async close() {
      await provider.close();
      project.remove();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Creates a sandbox and terminates it after use. */
export async function withSandbox<T>(
  provider: SandboxProvider,
  spec: Parameters<SandboxProvider["create"]>[0],
  use: (sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  const sandbox = await provider.create(spec);
  try {
    return await use(sandbox);
  } finally {
    await sandbox.terminate();
  }
}

/** The sandbox with only some of its programs on the PATH. */
export async function withoutGit(sandbox: Sandbox): Promise<Sandbox> {
  const tools = "cat gzip tar xargs mkdir rm";
  await runIn(sandbox, `mkdir /tmp/bin; for tool in ${tools}; do ln -s "$(command -v "$tool")" /tmp/bin/; done`);
  return {
    ...sandbox,
    id: sandbox.id,
    workdir: sandbox.workdir,
    readFile: sandbox.readFile.bind(sandbox),
    writeFile: sandbox.writeFile.bind(sandbox),
    start: ({ argv, ...more }) => sandbox.start({ ...more, argv: ["/usr/bin/env", "PATH=/tmp/bin", ...argv] }),
  };
}

const LOOK = `find . -mindepth 1 -name .git -prune -o -printf '%y\\0%m\\0%P\\0%l\\0'; printf '=\\0'
find . -name .git -prune -o -type f -print0 | xargs -0 git hash-object --no-filters --`;

/** The picture of a sandbox's work directory, made by programs in it. */
export async function pictureIn(sandbox: Sandbox): Promise<Map<string, string>> {
  const output = (await runIn(sandbox, LOOK)).toString("latin1");
  const end = output.indexOf("\0=\0");
  const oids = output.slice(end + 3).split("\n");
  const fields = output.slice(0, end).split("\0");
  const picture = new Map<string, string>();
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [kind, mode = "", path = "", to = ""] = fields.slice(at, at + 4);
    if (kind === "d") picture.set(path, "folder");
    else if (kind === "l") picture.set(path, `link ${Buffer.from(to, "latin1")}`);
    else picture.set(path, `${Number.parseInt(mode, 8) & 0o100 ? "program" : "file"} ${oids.shift()}`);
  }
  return picture;
}

/** The picture of a commit of the user's repository, without folders. */
export function pictureOfCommit(project: HostileProject, commit: string): Map<string, string> {
  const picture = new Map<string, string>();
  for (const line of project.bytes("ls-tree", "-r", "-z", commit).toString("latin1").split("\0").filter(Boolean)) {
    const [mode = "", , oid = ""] = line.slice(0, line.indexOf("\t")).split(" ");
    const path = line.slice(line.indexOf("\t") + 1);
    if (mode === "120000") picture.set(path, `link ${project.bytes("cat-file", "blob", oid)}`);
    else picture.set(path, `${mode === "100755" ? "program" : mode === "100644" ? "file" : mode} ${oid}`);
  }
  return picture;
}

/** The expected content of a sandbox: everything that is not ignored. */
export const withoutIgnored = (picture: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...picture].filter(([path]) => !/^(ignored(\/.*)?|ignored\.txt|other\.secret)$/.test(path)));

/** Everything, including `.git`, except a branch's reference, its log and objects. */
export const withoutBranches = (picture: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...picture].filter(([path]) => !/^\.git\/(objects|(logs\/)?refs\/heads\/agents)(\/|$)/.test(path)));

/** The differences of two pictures, in words, without the thousands of equal entries. */
export function differences(found: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): string[] {
  const paths = new Set([...found.keys(), ...expected.keys()]);
  return [...paths]
    .filter((path) => found.get(path) !== expected.get(path))
    .map((path) => `${path}: ${found.get(path)}, expected ${expected.get(path)}`)
    .sort();
}

/** Captures the user's project as it is now. */
export const everything = (project: HostileProject): Map<string, string> => pictureOf(project.root, true);

export const captureNow = (store: ProjectStore, scratchID = "base"): Promise<TreeBase> => captureTree(store, scratchID);
