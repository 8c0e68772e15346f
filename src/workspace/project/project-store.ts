import { lstat, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ownFolder, refuseLink, writeOwnFile } from "../../shared/own-folder.ts";
import type { Git, GitRun } from "../git.ts";
import { fileNameFor } from "../paths.ts";
import type { FoundProject } from "./find-project.ts";

/**
 * A repository of ours beside a project, which holds what the user's does not: the exact bytes of his working tree, and
 * later what jobs made of it. His objects are borrowed, his files and repository only read.
 */
export interface ProjectStore {
  /** Absolute: the top of the user's repository, or the plain folder. */
  readonly root: string;
  readonly isRepository: boolean;
  /** How it was chosen, where that is worth a word. */
  readonly notes: readonly string[];
  readonly format: "sha1" | "sha256";
  /** Absolute folder of everything we keep for the project. */
  readonly folder: string;
  /** git on the user's own repository; only reads, unless a branch is made. */
  user(args: readonly string[], more?: Partial<GitRun>): Promise<Buffer>;
  /** git on our store, with nobody's configuration. */
  run(args: readonly string[], more?: Partial<GitRun>): Promise<Buffer>;
  stream(args: readonly string[], more?: Partial<GitRun>): AsyncIterable<Buffer>;
  toFile(args: readonly string[], path: string, more?: Partial<GitRun>): Promise<void>;
  /** The same with the project's files as the working tree and an index of that name. */
  onFiles(index: string, args: readonly string[], more?: Partial<GitRun>): Promise<Buffer>;
}

type Project = Extract<FoundProject, { kind: "project" }>;

/** Files are bytes: nothing converts them, whatever the attributes in the project say. Also for sandboxes. */
export const RAW_ATTRIBUTES =
  "* -text -ident !eol !filter !working-tree-encoding -export-ignore -export-subst !diff !merge\n";

/**
 * Where everything is kept for the project with this root. No link below the state directory is followed.
 * @throws PluginError `config_invalid`
 */
export function storeFolder(stateDir: string, root: string): string {
  const folder = join(stateDir, "workspace", fileNameFor(root));
  for (const path of [dirname(folder), folder, join(folder, "jobs")]) refuseLink(path);
  return folder;
}

/** Of what this folder's functions name with the scratchID of a call. */
const SCRATCH = /^((index|user-index|view|build|send|pack)\..+|.+\.work_.+)$/;
/** Nothing takes so long. */
const SCRATCH_MS = 24 * 3600_000;

/** Removes what processes left that were killed at their work. @param now epoch ms, by the clock of the file system */
export async function removeOldScratch(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (!SCRATCH.test(name)) continue;
    // Not the time of its content: an index is linked, and as old as the last one. It may be gone by now.
    const madeAt = (await lstat(path).catch(() => null))?.ctimeMs ?? now;
    if (now - madeAt > SCRATCH_MS) await rm(path, { recursive: true, force: true });
  }
}

/** @param stateDir absolute; the store is made below it */
export async function openProjectStore(git: Git, stateDir: string, project: Project): Promise<ProjectStore> {
  const { root, isRepository, notes } = project;
  const ask = async (...args: string[]) =>
    (await git.read({ args: ["rev-parse", ...args], cwd: root, config: "user" })).toString("utf8").replace(/\n$/, "");
  const isLong = isRepository && (await ask("--show-object-format").catch(() => "sha1")) === "sha256";
  const format = isLong ? "sha256" : "sha1";
  const folder = storeFolder(stateDir, root);
  const gitDir = join(folder, "git");
  const inGit = ["info", "objects", "objects/info"].map((path) => join(gitDir, path));
  for (const path of [dirname(folder), folder, gitDir, ...inGit]) ownFolder(path);
  const ours = { cwd: folder, config: "none" } as const;
  const init = ["init", "--quiet", "--bare", "--template=", ...(format === "sha256" ? ["--object-format=sha256"] : [])];
  await git.read({ ...ours, args: [...init, gitDir] });
  const attributes = join(gitDir, "info/attributes");
  writeOwnFile(attributes, RAW_ATTRIBUTES);
  const now = (await stat(attributes)).ctimeMs;
  for (const place of [folder, join(folder, "jobs")]) await removeOldScratch(place, now);
  const borrowed = !isRepository ? null : await ask("--path-format=absolute", "--git-path", "objects");
  const alternates = join(gitDir, "objects/info/alternates");
  if (borrowed !== null) writeOwnFile(alternates, `${quoteAlternate(borrowed)}\n`);
  else await rm(alternates, { force: true });

  const settings = ["core.fileMode=true", "core.symlinks=true", "core.autocrlf=false", "core.compression=1"];
  const flags = (more: readonly string[]) => [...settings, ...more].flatMap((setting) => ["-c", setting]);
  const ofStore = (args: readonly string[], more?: Partial<GitRun>): GitRun => ({
    ...ours,
    ...more,
    args: [...flags([]), `--git-dir=${gitDir}`, ...args],
  });
  return {
    root,
    isRepository,
    notes,
    format,
    folder,
    user: (args, more) => git.read({ cwd: root, config: "user", ...more, args }),
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

/** The file is read by lines, and as C strings where quoted. */
const quoteAlternate = (path: string): string => (/["\n\\]|^#/.test(path) ? JSON.stringify(path) : path);
