import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { GitRun } from "../git.ts";
import { foldersAbove, joinRecords } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import { identityOf } from "../project/identity.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { writeTree } from "../project/tree-entries.ts";
import { listFiles } from "../sandbox/list-files.ts";
import { runScript } from "../sandbox/run-script.ts";
import { archiveTo, LIMIT_MS, putContent, STAGE, sendTree } from "../sandbox/send-tree.ts";
import { type MeasuredFiles, measuredEnv } from "./measured-files.ts";
import { protectedIn } from "./protected-in.ts";

export interface PlaceRequest {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Names the scratch files of this call. */
  readonly scratchID: string;
}

/** Removes files by their names in a list, without an error for those that are not there. */
const REMOVE = `cd -- "$1" && xargs -0 -r rm -rf -- < "$2"; rm -f -- "$2"`;

/**
 * Brings a fresh sandbox with the project's files to what is measured.
 * @throws PluginError `workspace_failed`, `sandbox_lost`; GitError
 */
export async function placeMeasured(
  { store, base, ...request }: PlaceRequest,
  runID: string,
  { commit, removed }: MeasuredFiles,
): Promise<void> {
  const { sandbox, clock } = request;
  const env = measuredEnv(store, runID);
  const ofRun = (more?: Partial<GitRun>) => ({ ...more, env: { ...env, ...more?.env }, isUntrusted: true });
  const seeing: ProjectStore = {
    ...store,
    run: (args, more) => store.run(args, ofRun(more)),
    stream: (args, more) => store.stream(args, ofRun(more)),
    toFile: (args, path, more) => store.toFile(args, path, ofRun(more)),
  };
  const identity = await identityOf(store);
  // First: where there is no git, the rest is unpacked over the project's files, and a folder may take a file's place.
  if (removed.length > 0) await removeFiles(sandbox, clock, removed);
  const from = { commit: base.commit, form: "repository", emptyFolders: base.emptyFolders } as const;
  await sendTree({ store: seeing, base: { ...base, commit }, from, identity, ...request });
}

async function removeFiles(sandbox: Sandbox, clock: Clock, paths: readonly string[]): Promise<void> {
  const list = `${STAGE}/removed`;
  await sandbox.writeFile(list, joinRecords(paths.map((path) => `./${path}`)));
  await succeed(sandbox, clock, REMOVE, [sandbox.workdir, list]);
}

/** Makes way for protected files: what is at their places goes, and so do links and files where their folders belong. */
const RESTORE = `set -e
cd -- "$1"; stage=$2
xargs -0 -r rm -rf -- < "$stage/removed"
xargs -0 -r sh -c 'for f do if [ -L "$f" ] || { [ -e "$f" ] && [ ! -d "$f" ]; }; then rm -f -- "$f"; fi; done' sh < "$stage/folders"
xargs -0 -r rm -rf -- < "$stage/files"
cat "$stage"/part.* | gzip -dc | tar -xf -
rm -rf -- "$stage"`;

/**
 * Puts the project's own protected files into a sandbox with a job's files, whose programs do it: what they are is the
 * job's word.
 * @returns files of the job that were there and are protected places, and so were removed
 * @throws PluginError `workspace_failed`, `collect_failed`, `sandbox_lost`; GitError
 */
export async function restoreProtected(
  { store, base, sandbox, clock, scratchID }: PlaceRequest,
  protect: readonly string[],
): Promise<readonly string[]> {
  const { entries, links, protection } = await protectedIn(store, base, protect, sandbox.workdir);
  const files = new Set([...protection.files, ...[...links.keys()].filter((path) => protection.covers(path))]);
  if (files.size === 0) return [];
  const listed = await listFiles(sandbox, [""], { clock, limitMs: LIMIT_MS });
  const added = listed.map(({ path }) => path).filter((path) => protection.covers(path) && !files.has(path));
  const restored = [...entries].filter(([path]) => files.has(path));
  const treeID = await writeTree(store, new Map(restored), `build.${scratchID}.index`);
  const folders = new Set([...files].flatMap(foldersAbove));
  const put = (name: string, paths: Iterable<string>) =>
    sandbox.writeFile(`${STAGE}/${name}`, joinRecords([...paths].map((path) => `./${path}`)));
  await runScript(sandbox, 'rm -rf -- "$1"', [STAGE], { clock, limitMs: LIMIT_MS });
  await put("removed", added);
  await put(
    "folders",
    [...folders].map((folder) => folder.slice(0, -1)),
  );
  await put("files", files);
  await putContent({ store, sandbox, scratchID }, (path) => archiveTo(path, store, treeID));
  await succeed(sandbox, clock, RESTORE, [sandbox.workdir, STAGE]);
  return added;
}

async function succeed(sandbox: Sandbox, clock: Clock, script: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runScript(sandbox, script, args, { clock, limitMs: LIMIT_MS });
  if (code === 0) return;
  throw new PluginError(
    "workspace_failed",
    `Could not put the files to be measured in place in sandbox ${sandbox.id}: the command exited with ${code}: ${stderr.trim().slice(-500)}`,
    { retryable: null },
  );
}
