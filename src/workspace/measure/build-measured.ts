import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { foldersAbove, fromText } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import { BASE_IDENTITY, identityEnv } from "../project/identity.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { readBlobs } from "../project/read-blobs.ts";
import { changesEnv, type JobChanges } from "../project/stored-changes.ts";
import { parseDifferences, writeTree } from "../project/tree-entries.ts";
import type { Artifact } from "./artifacts.ts";
import { namedByCommand, pathsAddedIn } from "./command-words.ts";
import { type Change, decideMeasuredTree, type Refused } from "./decide-tree.ts";
import { saveMeasured } from "./measured-files.ts";
import { protectedIn, targetsOf } from "./protected-in.ts";
import { inWorkdir } from "./protection.ts";
import { createStartUpRules, importedNames } from "./start-up-files.ts";

/** What of a benchmark decides which files are measured. */
export interface MeasureRules {
  readonly command: string;
  readonly protect: readonly string[];
  readonly artifacts: readonly string[];
  /** Work directory of the measurement. */
  readonly workdir: string;
}

export interface MeasureRequest {
  readonly store: ProjectStore;
  /** The files that the job's work is based on. */
  readonly base: TreeBase;
  readonly changes: JobChanges;
  readonly jobID: string;
  /** Its files that were asked for, whose objects are in `objects`. */
  readonly artifacts: ReadonlyMap<string, Artifact>;
  /** Folder of objects that may be written to. */
  readonly objects: string;
  readonly rules: MeasureRules;
  /** The runs that are to measure it. */
  readonly runIDs: readonly string[];
  readonly scratchID: string;
}

export interface BuiltMeasured {
  /** Whether it is the project's own files, with no change of the job. */
  readonly isUnchanged: boolean;
  readonly refused: readonly Refused[];
  /** Files that the command names, that the job changed, and that nothing protects. */
  readonly commandFiles: readonly string[];
  /** Shared libraries among what is measured. */
  readonly libraries: readonly string[];
}

const TEXT_BYTES = 256 * 1024;
/** Protected files that are read for what they call and import. */
const MAX_TEXTS = 200;
/** Fixed, so that the same files give the same commit. */
const DATE = "1000000000 +0000";
const SCRIPT = /(?:\.(?:sh|bash|zsh|mk|json|toml|ya?ml)|(?:^|\/)[^./]+)$/i;
const SOURCE = /\.(?:py|pyw|ipynb|js|mjs|cjs|ts|mts|rb|pl|r|jl)$/i;
/** Texts in source code, such as the names of programs. */
const QUOTED = /"[^"\n]{1,200}"|'[^'\n]{1,200}'/g;
/** Files in which a project says which packages it needs. */
const NEEDS =
  /(?:^|\/)(?:requirements[^/]*\.(?:txt|in)|pyproject\.toml|setup\.(?:py|cfg)|pipfile|environment[^/]*\.ya?ml)$/i;

/**
 * Makes the files that runs measure: the project's own, with those changes of a job that may count.
 * @throws GitError
 */
export async function buildMeasured(request: MeasureRequest): Promise<BuiltMeasured> {
  const { store, base, changes, jobID, artifacts, objects, rules, runIDs, scratchID } = request;
  const ofJob = changesEnv(store, jobID, changes);
  const env = {
    GIT_OBJECT_DIRECTORY: objects,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: [join(store.folder, "git/objects"), ofJob.GIT_OBJECT_DIRECTORY].join(":"),
  };
  const workdir = fromText(rules.workdir);
  const { entries: start, links, protection } = await protectedIn(store, base, rules.protect, rules.workdir);
  const wanted = [
    ...(await readChanges()),
    ...[...artifacts].map(([path, artifact]): Change => ({ path, ...artifact })),
  ];
  const meant = rules.artifacts.map((one) => fromText(inWorkdir(one, rules.workdir)));
  // Only what is named without wildcards: "out/**" does not say that a hook in it is wanted.
  const isMeant = (path: string) => meant.some((one) => path === one || path.startsWith(`${one}/`));
  const startUp = await startUpRules();
  const made = decideMeasuredTree({
    base: start,
    links,
    changes: wanted,
    protection,
    startUp: (path, isLink) => (isMeant(path) ? null : startUp(path, isLink)),
    workdir,
  });
  const tree = await writeTree(store, made.entries, `build.${scratchID}.index`, env);
  const commit = await commitTree(tree);
  await save(commit);
  const after = new Set(made.entries.keys());
  const { files } = namedByCommand(rules.command, after, new Set(), rules.workdir);
  const changed = new Set(made.taken.map(({ path }) => path));
  return {
    isUnchanged: made.taken.length === 0,
    refused: made.refused,
    commandFiles: files.filter((path) => changed.has(path)),
    libraries: [...changed].filter((path) => after.has(path) && /\.(?:so(?:\.\d+)*|dylib)$/i.test(path)),
  };

  async function readChanges(): Promise<Change[]> {
    const how = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base.commit, changes.tip];
    const differences = parseDifferences(await store.run(how, { env, isUntrusted: true }));
    // A file that could not be read only seems to have been removed.
    const unread = [...changes.unread, ...changes.unborn];
    const isKnown = (path: string) => !unread.some((one) => path === one || path.startsWith(`${one}/`));
    const known = differences.filter(({ path, entry }) => entry !== null || isKnown(path));
    const targets = await targetsOf(
      store,
      known.flatMap(({ path, entry }) => (entry ? [[path, entry]] : [])),
      env,
    );
    return known.map(({ path, entry }) => ({ path, entry, target: targets.get(path) ?? null }));
  }

  async function startUpRules() {
    const paths = new Set(start.keys());
    const folders = new Set([...paths].flatMap((path) => foldersAbove(path).map((one) => one.slice(0, -1))));
    const scripts = await textsOf(protection.files.filter((path) => SCRIPT.test(path)));
    const sources = await textsOf(protection.files.filter((path) => SOURCE.test(path)));
    const text = [rules.command, ...sources].join("\n");
    const named = namedByCommand(rules.command, paths, folders, rules.workdir);
    const roots = [...[...protection.files, ...named.files].map(folderOf), ...named.folders, ...pathsAddedIn(text)];
    const imported = importedNames(text);
    const needs = (await textsOf([...paths].filter((path) => NEEDS.test(path))))
      .join("\n")
      .toLowerCase()
      .replaceAll("-", "_");
    const packages = new Set([...imported].filter((name) => new RegExp(`\\b${name}\\b`).test(needs)));
    return createStartUpRules({
      calls: [rules.command, ...scripts, ...sources.flatMap((source) => source.match(QUOTED) ?? [])].join("\n"),
      imported,
      importRoots: [...new Set(["", "src", "lib", ...roots])],
      packages,
      base: paths,
      protectedFiles: protection.files,
    });
  }

  async function textsOf(paths: readonly string[]): Promise<string[]> {
    const oids = paths.slice(0, MAX_TEXTS).map((path) => start.get(path)?.oid ?? "");
    return [...(await readBlobs(store, oids, TEXT_BYTES, env)).values()].map((content) => content.toString("utf8"));
  }

  async function commitTree(tree: string): Promise<string> {
    const args = ["commit-tree", tree, "-p", base.commit, "-m", "What is measured"];
    return (await store.run(args, { env: { ...env, ...identityEnv(BASE_IDENTITY, DATE) } })).toString().trim();
  }

  async function save(commit: string): Promise<void> {
    const pack = join(store.folder, `pack.${scratchID}`);
    try {
      await store.toFile(["pack-objects", "--revs", "--stdout", "--quiet", "--window=0"], pack, {
        input: Buffer.from(`${commit}\n^${base.commit}\n`),
        env,
        maxBytes: Number.POSITIVE_INFINITY,
        isUntrusted: true,
      });
      const removed = [...start.keys()].filter((path) => !made.entries.has(path));
      await saveMeasured(store, runIDs, { commit, removed }, pack);
    } finally {
      await rm(pack, { force: true });
    }
  }
}

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** Runs `use` with a folder for objects, and for files on their way there, which is deleted afterwards. */
export async function withObjects<T>(
  { folder }: Pick<ProjectStore, "folder">,
  scratchID: string,
  use: (place: string) => Promise<T>,
): Promise<T> {
  const place = join(folder, `build.${scratchID}`);
  await mkdir(join(place, "objects/pack"), { recursive: true, mode: 0o700 });
  try {
    return await use(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
