import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { joinRecords, splitRecords, toBytes } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import type { Person } from "../project/identity.ts";
import { type ProjectStore, RAW_ATTRIBUTES } from "../project/project-store.ts";
import { GIT_FUNCTION } from "./job-git.ts";
import { runScript } from "./run-script.ts";

export interface SendRequest {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  /** What of the project the work directory already holds, so that only the difference is sent; null = it is empty. */
  readonly from: FormerTree | null;
  readonly identity: Person;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Names the scratch file of this call. */
  readonly scratchID: string;
  /** Called before files of the work directory are changed, when all that takes long is done. */
  readonly beforeChange?: () => void;
}

export interface FormerTree {
  readonly commit: string;
  readonly form: TreeForm;
  /** The project's empty folders in it; null = every empty folder there is the project's. */
  readonly emptyFolders: readonly string[] | null;
}

/** How the tree was unpacked: as a git repository, or as plain files where the sandbox has no git. */
export type TreeForm = "repository" | "files";

/** Folder of the sandbox that uploads are put together in. */
export const STAGE = "/tmp/.parallel-agents-tree";
const PIECE_BYTES = 8 * 1024 * 1024;
export const LIMIT_MS = 10 * 60_000;

const inRepository = (...steps: readonly string[]): string => `set -e
${GIT_FUNCTION}
cd -- "$1"; stage=$2 commit=$3 from=$4 empty=$5
${steps.join("\n")}`;

/** Changes no file that is there, but for those of git. */
const RECEIVE = `if [ -z "$from" ]; then
  set -- --quiet --template=
  [ \${#commit} -eq 40 ] || set -- "$@" --object-format=sha256
  g init "$@" .
  g symbolic-ref HEAD refs/heads/main
  mkdir -p .git/info
  cp "$stage/attributes" .git/info/attributes
fi
cat "$stage"/part.* | g index-pack --stdin >/dev/null
g config user.name "$(cat "$stage/name")"
g config user.email "$(cat "$stage/email")"
g config core.autocrlf false
# For repositories that the job makes. In a variable it would take the place of what those are given.
for key in name email; do
  git config --global "user.$key" >/dev/null || git config --global "user.$key" "$(cat "$stage/$key")" || true
done 2>/dev/null
[ -z "$from" ] || g update-index -q --refresh || true`;

const CHECKOUT = `if [ -z "$from" ]; then g read-tree "$commit"; g checkout-index --all --force --quiet
else
  g read-tree --reset -u "$commit"
  if [ "$empty" = all ]; then find . -depth -type d -empty ! -path "./.git/*" -exec rmdir -- {} \\;
  else xargs -0 -r rmdir -p -- < "$stage/gone" 2>/dev/null || true; fi
fi
g update-ref refs/heads/main "$commit"
xargs -0 -r mkdir -p -- < "$stage/folders"
rm -rf -- "$stage"`;

const UNPACK = `set -e
cd -- "$1"; stage=$2
xargs -0 -r rm -f -- < "$stage/gone"
cat "$stage"/part.* | gzip -dc | tar -xf -
xargs -0 -r mkdir -p -- < "$stage/folders"
rm -rf -- "$stage"`;

/**
 * Sends a project's tree to a sandbox and unpacks it in the work directory.
 * @throws PluginError `workspace_failed`, `sandbox_lost`
 */
export async function sendTree(request: SendRequest): Promise<TreeForm> {
  const { store, base, identity, sandbox, clock } = request;
  const run = (script: string, ...args: string[]) => runScript(sandbox, script, args, { clock, limitMs: LIMIT_MS });
  const form: TreeForm = (await run("command -v git")).code === 0 ? "repository" : "files";
  const put = (name: string, bytes: Uint8Array) => sandbox.writeFile(`${STAGE}/${name}`, bytes);
  // Git finds the difference in a repository; of plain files everything is sent, and what is gone is named.
  const from = form === "repository" && request.from?.form === form ? request.from.commit : null;
  const folders = request.from?.emptyFolders ?? null;
  const gone = form === "repository" ? goneFolders(folders ?? [], base) : await goneFiles(request);
  await run('rm -rf -- "$1"', STAGE);
  await put("gone", joinRecords(gone));
  await put("folders", joinRecords(base.emptyFolders));
  await put("attributes", toBytes(RAW_ATTRIBUTES));
  await put("name", Buffer.from(identity.name));
  await put("email", Buffer.from(identity.email));
  await putContent(request, (path) =>
    form === "repository" ? packTo(path, store, base.commit, from) : archiveTo(path, store, base.commit),
  );
  const args = [sandbox.workdir, STAGE, base.commit, from ?? "", folders === null ? "all" : "named"];
  const steps =
    form === "files"
      ? [UNPACK]
      : request.beforeChange
        ? [inRepository(RECEIVE), inRepository(CHECKOUT)]
        : [inRepository(RECEIVE, CHECKOUT)];
  for (const step of steps) {
    if (step === steps.at(-1)) request.beforeChange?.();
    const { code, stderr } = await run(step, ...args);
    if (code === 0) continue;
    throw new PluginError(
      "workspace_failed",
      `Could not unpack the project in ${sandbox.workdir} of sandbox ${sandbox.id}: the command exited with ${code}: ${stderr.trim().slice(-500)}`,
      { retryable: null },
    );
  }
  return form;
}

const goneFolders = (former: readonly string[], { emptyFolders }: TreeBase): string[] => {
  const present = new Set(emptyFolders);
  return former.filter((folder) => !present.has(folder));
};

async function goneFiles({ store, from, base }: SendRequest): Promise<string[]> {
  if (from === null) return [];
  const args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=D", from.commit, base.commit];
  return splitRecords(await store.run(args));
}

/**
 * Uploads what `write` writes to a local file into `STAGE`, as `part.000000`, `part.000001` and so on.
 * @param write gets the path of the local file, which does not exist yet
 */
export async function putContent(
  { store, sandbox, scratchID }: Pick<SendRequest, "store" | "sandbox" | "scratchID">,
  write: (path: string) => Promise<void>,
): Promise<void> {
  const content = join(store.folder, `send.${scratchID}`);
  try {
    await write(content);
    let count = 0;
    for await (const piece of piecesOf(content))
      await sandbox.writeFile(`${STAGE}/part.${String(count++).padStart(6, "0")}`, piece);
  } finally {
    await rm(content, { force: true });
  }
}

/** Writes a pack of `commit`, without what `from` has. It skips the search for deltas, which would not pay: a base is sent once. */
export function packTo(path: string, store: ProjectStore, commit: string, from: string | null): Promise<void> {
  const input = Buffer.from(from === null ? `${commit}\n` : `${commit}\n^${from}\n`);
  const args = ["pack-objects", "--revs", "--stdout", "--quiet", "--window=0", "--delta-base-offset"];
  return store.toFile(args, path, { input, maxBytes: Number.POSITIVE_INFINITY });
}

/** @param tree a tree, or a commit with it */
export function archiveTo(path: string, store: ProjectStore, tree: string): Promise<void> {
  const args = ["archive", "--format=tgz", "-1", `${tree}^{tree}`];
  return store.toFile(args, path, { maxBytes: Number.POSITIVE_INFINITY });
}

/** Reads a file in pieces, of which one at a time is in memory. */
async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
