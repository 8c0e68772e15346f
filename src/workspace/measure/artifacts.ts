import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { selectLinked } from "../collect/linked-files.ts";
import { FILE_LIMITS, type FileRequest, type LeftOut, parsePatterns } from "../collect/select-files.ts";
import { toBytes } from "../paths.ts";
import type { ProjectStore } from "../project/project-store.ts";
import type { TreeEntry } from "../project/tree-entries.ts";
import { fetchFiles } from "../sandbox/fetch-files.ts";
import { listFiles } from "../sandbox/list-files.ts";

/** A file or a link of a job that a benchmark needs besides its changes, as a blob. */
export interface Artifact {
  readonly entry: TreeEntry;
  /** What the link contains, if it is one. */
  readonly target: string | null;
}

export interface Artifacts {
  readonly entries: ReadonlyMap<string, Artifact>;
  readonly leftOut: readonly LeftOut[];
  /** Patterns that matched nothing. */
  readonly unmatched: readonly string[];
}

export const NO_ARTIFACTS: Artifacts = { entries: new Map(), leftOut: [], unmatched: [] };

export interface ArtifactRequest {
  readonly store: ProjectStore;
  readonly patterns: readonly string[];
  readonly sandbox: Sandbox;
  /** Folder for files on their way into its `objects`. */
  readonly place: string;
  readonly clock: Clock;
  /** Separates the files in a stream. */
  readonly mark: string;
}

/** @throws PluginError `invalid_task` where a pattern means no file of the work directory */
export const checkArtifacts = (patterns: readonly string[], workdir: string): FileRequest =>
  parsePatterns(patterns, workdir, "artifacts of the benchmark");

const LIST_LIMIT_MS = 3 * 60_000;
const FETCH_LIMIT_MS = 30 * 60_000;

/**
 * Fetches files, and links with what they lead to in the work directory. Names that a job chose never become names of files
 * here.
 * @throws PluginError `collect_failed`, `sandbox_lost`, Error
 */
export async function fetchArtifacts(request: ArtifactRequest): Promise<Artifacts> {
  const { store, patterns, sandbox, place, clock, mark } = request;
  const wanted = checkArtifacts(patterns, sandbox.workdir);
  const { files, links, leftOut, unmatched, nowhere } = await selectLinked({
    request: wanted,
    workdir: sandbox.workdir,
    limits: FILE_LIMITS,
    isInstructionAtTarget: () => false,
    list: (roots) => listFiles(sandbox, roots, { clock, limitMs: LIST_LIMIT_MS }),
  });
  const left = [...leftOut, ...nowhere.map(({ path, why }) => ({ path, why, bytes: null }))];
  const kept: {
    readonly path: string;
    readonly mode: string;
    readonly file: string;
    readonly target: string | null;
  }[] = [];
  let at = 0;
  let written = 0;
  const fileOf = (n: number) => join(place, `artifact.${n}`);
  const limits = { clock, limitMs: FETCH_LIMIT_MS, mark, fileBytes: FILE_LIMITS.fileBytes };
  let file = await open(fileOf(0), "wx", 0o600);
  try {
    for await (const piece of fetchFiles(sandbox, files, limits)) {
      const source = files[at];
      if (!source) throw new Error("its sandbox sent more files than were asked for");
      if (piece.kind === "bytes") {
        written += piece.bytes.length;
        await file.write(piece.bytes);
        continue;
      }
      await file.close();
      const { path, isExecutable } = source;
      if (!piece.ok) left.push({ path, why: "it could not be read", bytes: null });
      else if (written > FILE_LIMITS.fileBytes) left.push({ path, why: "it is too large", bytes: written });
      else kept.push({ path, mode: isExecutable ? "100755" : "100644", file: fileOf(at), target: null });
      written = 0;
      file = await open(fileOf(++at), "wx", 0o600);
    }
  } finally {
    await file.close();
  }
  if (at < files.length) throw new Error("its sandbox sent fewer files than were asked for");
  const unusable = new Set(nowhere.map(({ path }) => path));
  for (const { path, to } of links.filter((link) => !unusable.has(link.path))) {
    const place = fileOf(++at);
    await writeFile(place, toBytes(to), { flag: "wx", mode: 0o600 });
    kept.push({ path, mode: "120000", file: place, target: to });
  }
  const oids = kept.length === 0 ? [] : await record();
  for (let n = 0; n <= at; n++) await rm(fileOf(n), { force: true });
  const entries = kept.map(({ path, mode, target }, n): [string, Artifact] => [
    path,
    { entry: { mode, oid: oids[n] ?? "" }, target },
  ]);
  return { entries: new Map(entries), leftOut: left, unmatched };

  async function record(): Promise<string[]> {
    const output = await store.run(["hash-object", "-w", "--no-filters", "--stdin-paths"], {
      input: Buffer.from(kept.map((one) => `${one.file}\n`).join("")),
      env: {
        GIT_OBJECT_DIRECTORY: join(place, "objects"),
        GIT_ALTERNATE_OBJECT_DIRECTORIES: join(store.folder, "git/objects"),
      },
    });
    const found = output.toString("latin1").trim().split("\n");
    if (found.length !== kept.length) throw new Error("git did not record all of the files");
    return found;
  }
}
