import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { splitRecords, toBytes } from "../paths.ts";
import { readFilters } from "../project/filters.ts";
import { ignoredByOwnRules } from "../project/git-ignored.ts";
import { isLfsPointer, LFS_POINTER_BYTES } from "../project/lfs-pointer.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { RECORDING, recordFiles, unrecordFiles } from "../project/record-files.ts";
import { parseStage, type TreeEntry } from "../project/tree-entries.ts";

/*
 * A job works on files with the bytes of the user's working tree. In a commit they are what his git would have recorded:
 * with converted line ends and encodings, with his modes, and never with the bytes of a file that a filter would convert.
 * A new file that he ignores by rules of his own, which no sandbox has, is left out.
 */

/** Converts a job's commits one after another. */
export interface Converter {
  /**
   * @param entries the files after a commit; the changed ones as the job has them, all others as the user's tree has them
   * @param changed the files that differ from the user's tree, also those that are gone
   */
  convert(entries: ReadonlyMap<string, TreeEntry>, changed: readonly string[]): Promise<Converted>;
  close(): Promise<void>;
}

export interface Converted {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  /** Files, and ignored folders, that are not among the entries in the job's version, with the reason. */
  readonly refused: ReadonlyMap<string, string>;
}

export interface ConverterDeps {
  readonly store: ProjectStore;
  /** The user's tree, and the exact one that the job got. */
  readonly base: { readonly tree: string; readonly commit: string };
  readonly start: ReadonlyMap<string, TreeEntry>;
  /** Environment in which git finds and writes a job's objects. */
  readonly env: Readonly<Record<string, string>>;
  readonly scratchID: string;
}

const isFile = (entry: TreeEntry | undefined): entry is TreeEntry => entry?.mode.startsWith("100") === true;
const isRules = (path: string): boolean => /(^|\/)\.gitignore$/.test(path);
const isAttributes = (path: string): boolean => /(^|\/)\.gitattributes$/.test(path);

/** A version of a file, for which the answer is always the same. */
const versionOf = (path: string, { mode, oid }: TreeEntry): string => `${mode} ${oid} ${path}`;

export async function createConverter({ store, base, start, env, scratchID }: ConverterDeps): Promise<Converter> {
  if (!store.isRepository)
    return { convert: async (entries) => ({ entries, refused: new Map() }), close: async () => {} };
  const filters = await readFilters(store);
  const folder = join(store.folder, `clean.${scratchID}`);
  const index = join(store.folder, `clean-index.${scratchID}`);
  const gitDir = (await store.user(["rev-parse", "--absolute-git-dir"])).toString("utf8").replace(/\n$/, "");
  const settings = [...filters.off, ...RECORDING];
  // The user's repository says how to convert; files, index and objects are ours.
  const asUser = { ...env, GIT_DIR: gitDir, GIT_WORK_TREE: folder, GIT_INDEX_FILE: index };
  const run = (args: readonly string[], input?: Uint8Array) =>
    store.user(args, { cwd: folder, env: asUser, settings, isUntrusted: true, ...(input && { input }) });
  const done = new Map<string, TreeEntry | string>();
  const ignored = new Map<string, string | null>();
  let exact: ReadonlyMap<string, string> | null = null;

  /** Asks about new files, each once; the answer is what to name. */
  async function askIgnored(entries: ReadonlyMap<string, TreeEntry>, paths: readonly string[]): Promise<void> {
    const open = paths.filter((path) => !ignored.has(path));
    if (open.length === 0) return;
    await emptyFolder();
    await writeFiles(entries, [...entries.keys()].filter(isRules));
    const found = await ignoredByOwnRules((args, input) => run(args, input), open);
    for (const path of open) ignored.set(path, found.get(path) ?? null);
  }

  async function emptyFolder(): Promise<void> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
  }

  /** Names of the objects that the job got for files of a filter: a copy of such a file is known without the filter. */
  async function filteredBefore(path: string, { oid, mode }: TreeEntry): Promise<TreeEntry | null> {
    exact ??= new Map(
      [
        ...parseStage(
          await store.run([
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            "--format=%(objectmode) %(objectname) 0%x09%(path)",
            base.commit,
          ]),
        ),
      ].map(([one, entry]) => [entry.oid, one]),
    );
    const twin = exact.get(oid);
    const recorded = twin === undefined ? undefined : start.get(twin);
    if (twin === undefined || !recorded) return null;
    const names = await filters.filtered((args, input) => run(args, input), [path, twin]);
    return names.get(path) === names.get(twin) ? { oid: recorded.oid, mode } : null;
  }

  async function convertAll(entries: ReadonlyMap<string, TreeEntry>, paths: readonly string[]): Promise<void> {
    await emptyFolder();
    await writeFiles(entries, paths);
    const filtered = await filters.filtered((args, input) => run(args, input), paths);
    const plain = paths.filter((path) => !filtered.has(path));
    const refused = new Set(await recordFiles(run, plain));
    const recorded = await differences();
    for (const path of plain) {
      const version = versionOf(path, entries.get(path) as TreeEntry);
      if (refused.has(path)) done.set(version, UNCONVERTED);
      else done.set(version, recorded.get(path) ?? (start.get(path) as TreeEntry));
    }
    for (const [path, filter] of filtered) {
      const entry = entries.get(path) as TreeEntry;
      const known =
        (filter === "lfs" && (await isPointer(entry)) ? entry : null) ?? (await filteredBefore(path, entry));
      done.set(versionOf(path, entry), known ?? needsFilter(filter));
    }
  }

  /** Whether a file already is what Git LFS would record: a pointer, or nothing. */
  async function isPointer({ oid }: TreeEntry): Promise<boolean> {
    const read = store.run(["cat-file", "blob", oid], { env, isUntrusted: true, maxBytes: LFS_POINTER_BYTES });
    const text = (await read.catch(() => null))?.toString("latin1");
    return text !== undefined && (text === "" || isLfsPointer(text));
  }

  /** Writes the files, and all files of attributes, to the folder, with their exact bytes. */
  async function writeFiles(entries: ReadonlyMap<string, TreeEntry>, paths: readonly string[]): Promise<void> {
    const wanted = [...new Set([...paths, ...[...entries.keys()].filter(isAttributes)])];
    const lines = wanted.flatMap((path) => {
      const entry = entries.get(path);
      return isFile(entry) ? [`${entry.mode} ${entry.oid}\t${path}\0`] : [];
    });
    const scratch = `clean.${scratchID}.index`;
    try {
      await store.onFiles(scratch, ["update-index", "-z", "--index-info"], { env, input: toBytes(lines.join("")) });
      await store.onFiles(scratch, ["checkout-index", "--all", "--quiet", `--prefix=${folder}/`], {
        env,
        isUntrusted: true,
      });
    } finally {
      await rm(join(store.folder, scratch), { force: true });
    }
  }

  /** What the index holds in another version than the user's tree. */
  async function differences(): Promise<Map<string, TreeEntry>> {
    const how = [
      "diff-index",
      "--cached",
      "-r",
      "-z",
      "--raw",
      "--no-renames",
      "--no-abbrev",
      "--ignore-submodules=all",
      base.tree,
    ];
    const records = splitRecords(await run(how));
    const found = new Map<string, TreeEntry>();
    for (let at = 0; at + 1 < records.length; at += 2) {
      const [, mode = "", , oid = ""] = (records[at] as string).split(" ");
      found.set(records[at + 1] as string, { mode, oid });
    }
    return found;
  }

  return {
    async convert(entries, changed) {
      const fresh = changed.filter((path) => entries.has(path) && !start.has(path));
      await askIgnored(entries, fresh);
      const [converted, refused] = [new Map(entries), new Map<string, string>()];
      for (const path of fresh) {
        const place = ignored.get(path) ?? null;
        if (place === null) continue;
        converted.delete(path);
        refused.set(place, IGNORED);
      }
      const files = changed.filter((path) => isFile(converted.get(path)));
      if (files.length === 0) return { entries: converted, refused };
      if (done.size === 0) await store.run(["read-tree", base.tree], { env: { ...env, GIT_INDEX_FILE: index } });
      const open = files.filter((path) => !done.has(versionOf(path, entries.get(path) as TreeEntry)));
      if (open.length > 0) {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await unrecordFiles(
          run,
          changed.filter((path) => !entries.has(path)),
        );
        await convertAll(entries, open);
      }
      for (const path of files) {
        const answer = done.get(versionOf(path, entries.get(path) as TreeEntry));
        const before = start.get(path);
        if (typeof answer === "object") converted.set(path, answer);
        else if (before) converted.set(path, before);
        else converted.delete(path);
        if (typeof answer === "string") refused.set(path, answer);
      }
      return { entries: converted, refused };
    },
    async close() {
      for (const path of [folder, index]) await rm(path, { recursive: true, force: true });
    },
  };
}

const needsFilter = (filter: string): string =>
  `your git would convert it with the filter "${filter}", a program, and none is run here; take it with mode "files" and paths, and add it yourself`;

const IGNORED = 'your git ignores it by rules of your own; take it with mode "files" and paths';
const UNCONVERTED =
  'it cannot be converted as its attributes say (encoding or line ends); take it with mode "files" and paths';
