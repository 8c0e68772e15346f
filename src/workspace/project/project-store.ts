import { readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { lstatOrNull, nullIfMissing } from "../../shared/missing-file.ts";
import { ensurePrivateFolder, refuseLinkedFolder, writePrivateFile } from "../../shared/private-files.ts";
import { type Git, type GitRun, nullIfNotFound } from "../git.ts";
import { fileNameFor } from "../paths.ts";
import { borrowedPlaces, quoteAlternate } from "./alternates.ts";
import type { FoundProject } from "./find-project.ts";
import { IDENTITY_VARIABLES } from "./identity-variables.ts";

/**
 * A repository of our own for a project. It holds what the user's repository lacks: the exact bytes of the working tree,
 * and what jobs made of them. Objects of the user's repository are borrowed; his files and repository are only read.
 */
export interface ProjectStore {
  /** Absolute: the top of the user's repository, or the plain folder. */
  readonly root: string;
  readonly isRepository: boolean;
  /** What the user should know about how the project was chosen. */
  readonly notes: readonly string[];
  readonly format: "sha1" | "sha256";
  /** Absolute path of the index of the user's repository, which need not exist; null = there is no repository. */
  readonly userIndex: string | null;
  /** Variables of the user's environment by which his git names people. */
  readonly identityEnv: Readonly<Record<string, string | undefined>>;
  /** Absolute folder of everything we keep for the project. */
  readonly folder: string;
  /** Runs git with the user's settings, in his repository if there is one. It only reads, except when a branch is created. */
  user(args: readonly string[], more?: Partial<GitRun>): Promise<Buffer>;
  /** Runs git on our store, without anyone's configuration. */
  run(args: readonly string[], more?: Partial<GitRun>): Promise<Buffer>;
  stream(args: readonly string[], more?: Partial<GitRun>): AsyncIterable<Buffer>;
  toFile(args: readonly string[], path: string, more?: Partial<GitRun>): Promise<void>;
  /** Like `run`, with the project's files as the working tree and the named file in `folder` as the index. */
  onFiles(index: string, args: readonly string[], more?: Partial<GitRun>): Promise<Buffer>;
}

type Project = Extract<FoundProject, { kind: "project" }>;

/** Attributes under which git never converts a file, whatever the project's own attributes say. Sandboxes use them too. */
export const RAW_ATTRIBUTES =
  "* -text -ident !eol !filter !working-tree-encoding -export-ignore -export-subst !diff !merge\n";

/**
 * Path of the folder with everything we keep for the project at `root`. No link below the state directory is followed.
 * @throws PluginError `config_invalid`
 */
export function storeFolder(stateDir: string, root: string): string {
  const folder = join(stateDir, "workspace", fileNameFor(root));
  for (const path of [dirname(folder), folder, join(folder, "jobs")]) refuseLinkedFolder(path);
  return folder;
}

/** Files and folders named by the scratch ID of a call. */
const SCRATCH =
  /^((index|user-index|exact|hidden|hidden-index|view|build|clean|clean-index|send|pack)\..+|.+\.work_.+)$/;
/** No call takes longer. */
const SCRATCH_MS = 24 * 3600_000;

/** Removes scratch files of processes that were killed. @param now epoch ms, by the clock of the file system */
export async function removeOldScratch(folder: string, now: number): Promise<void> {
  for (const name of (await nullIfMissing(readdir(folder))) ?? []) {
    const path = join(folder, name);
    if (!SCRATCH.test(name)) continue;
    // Not its modification time: an index is a hard link, with the time of the last capture. It may be gone by now.
    const createdAt = (await lstatOrNull(path))?.ctimeMs ?? now;
    if (now - createdAt > SCRATCH_MS) await rm(path, { recursive: true, force: true });
  }
}

/** Opens the store of a project, and creates it at first. @param stateDir absolute; the store lies below it */
export async function openProjectStore(git: Git, stateDir: string, project: Project): Promise<ProjectStore> {
  const { root, isRepository, notes } = project;
  const ask = async (...args: string[]) =>
    (await git.read({ args: ["rev-parse", ...args], cwd: root, config: "user" })).toString("utf8").replace(/\n$/, "");
  const isLong = isRepository && (await ask("--show-object-format").catch(() => "sha1")) === "sha256";
  const format = isLong ? "sha256" : "sha1";
  const folder = storeFolder(stateDir, root);
  const gitDir = join(folder, "git");
  const inGit = ["info", "objects", "objects/info"].map((path) => join(gitDir, path));
  for (const path of [dirname(folder), folder, gitDir, ...inGit]) ensurePrivateFolder(path);
  const ours = { cwd: folder, config: "none" } as const;
  const init = ["init", "--quiet", "--bare", "--template=", ...(format === "sha256" ? ["--object-format=sha256"] : [])];
  await git.read({ ...ours, args: [...init, gitDir] });
  const attributes = join(gitDir, "info/attributes");
  writePrivateFile(attributes, RAW_ATTRIBUTES);
  const now = (await stat(attributes)).ctimeMs;
  for (const place of [folder, join(folder, "jobs")]) await removeOldScratch(place, now);
  const borrowed = !isRepository ? null : await ask("--path-format=absolute", "--git-path", "objects");
  const userIndex = !isRepository ? null : await ask("--path-format=absolute", "--git-path", "index");
  const alternates = join(gitDir, "objects/info/alternates");
  const places = borrowed === null ? [] : await borrowedPlaces(borrowed);
  if (places.length === 0) await rm(alternates, { force: true });
  else writePrivateFile(alternates, places.map((place) => `${quoteAlternate(place)}\n`).join(""));

  // Otherwise git would look for the parents of the user's oldest commits, which a shallow clone lacks.
  const shallow = isRepository
    ? { GIT_SHALLOW_FILE: await ask("--path-format=absolute", "--git-path", "shallow") }
    : {};
  const settings = ["core.fileMode=true", "core.symlinks=true", "core.autocrlf=false", "core.compression=1"];
  const flags = (more: readonly string[]) => [...settings, ...more].flatMap((setting) => ["-c", setting]);
  const ofStore = (args: readonly string[], more?: Partial<GitRun>): GitRun => ({
    ...ours,
    ...more,
    env: { ...shallow, ...more?.env },
    args: [...flags([]), `--git-dir=${gitDir}`, ...args],
  });
  return {
    root,
    isRepository,
    notes,
    format,
    userIndex,
    identityEnv: Object.fromEntries(IDENTITY_VARIABLES.map((name) => [name, git.hostEnv[name]])),
    folder,
    // A plain folder may have a `.git` that leads nowhere, at which git would stop.
    user: (args, more) => git.read({ cwd: isRepository ? root : folder, config: "user", ...more, args }),
    run: (args, more) => git.read(ofStore(args, more)),
    stream: (args, more) => git.stream(ofStore(args, more)),
    toFile: (args, path, more) => git.toFile(ofStore(args, more), path),
    onFiles: (index, args, more) =>
      git.read({
        ...ours,
        cwd: root,
        ...more,
        env: { ...more?.env, GIT_INDEX_FILE: join(folder, index) },
        args: [...flags(["core.bare=false"]), `--git-dir=${gitDir}`, `--work-tree=${root}`, ...args],
      }),
  };
}

/** Object name that a revision of the user's repository stands for; null where there is none. @throws GitError */
export async function resolveRevision(store: ProjectStore, revision: string): Promise<string | null> {
  const query = store.user(["rev-parse", "--quiet", "--verify", revision]);
  return (await nullIfNotFound(query))?.toString().trim() ?? null;
}
