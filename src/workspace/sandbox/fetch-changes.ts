import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { formatSize } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { addAll, JOB_GIT, NO_GIT, PIPES, UNBORN, UPDATE_REF } from "./job-git.ts";
import { type CommandEnd, runScript, ScriptTimeoutError } from "./run-script.ts";

/*
 * A job's work, taken out of its sandbox. Everything that comes is a stranger's: objects go into a store of their own,
 * and only after git has checked each. Nothing is written to the user's repository here.
 */

/** What a job made of its base, as objects in a store of its own. */
export interface JobChanges {
  /** Commit of the base it stands on. */
  readonly base: string;
  /** The commit that holds all of it. */
  readonly tip: string;
  /** The job's commits after the base, oldest first; the last is `tip`. */
  readonly commits: readonly string[];
  /** What was too large to go along, by the job's own account. */
  readonly leftOut: readonly string[];
  /** What could not be read there, by the job's own account: files, and folders with all in them. */
  readonly unread: readonly string[];
  /** Repositories without a commit that the job made in its files, by its own account. */
  readonly unborn: readonly string[];
}

export interface FetchRequest {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  /** Those before it, newest first: a sandbox made of an older snapshot stands on one of them. */
  readonly formerBases?: readonly TreeBase[];
  readonly jobID: string;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly scratchID: string;
}

/** With a name behind it that the job does not know, so that it cannot have put something in the way. */
const OUT = "/tmp/.parallel-agents-work";
const PIECE_BYTES = 8 * 1024 * 1024;
const PACK_BYTES = 512 * 1024 * 1024;
const LIMIT_MS = 3 * 60_000;
/** More are put together to one: nobody reads them one by one. */
const MAX_COMMITS = 100;
/** Names of what the job may not read itself. Whatever was cut off of them would pass for removed. */
const UNREAD_BYTES = 512 * 1024;

/**
 * Works on copies: the job's index, files and branches stay as they are, and it may go on meanwhile. The index keeps its
 * time, by which git tells a file changed in the same second. Of an update that broke off the state before it is taken.
 * Where only the files count, git never looks at the job's repository, which may be full of pipes.
 */
const PACK = `set -e
${JOB_GIT}
cd -- "$1"; bases=$2 out=$3 mode=$4
first=\${bases%% *}
standing() {
  for one in $bases; do
    if s merge-base --is-ancestor "$one" "$at" 2>/dev/null; then echo "$one"; return; fi
  done
  for one in $bases; do
    if s cat-file -e "$one^{commit}" 2>/dev/null; then echo "$one"; return; fi
  done
  return 1
}
[ "$mode" = files ] || ! find .git -type p 2>/dev/null | grep -q . || { echo "there are pipes in its repository" >&2; exit 1; }
pipes=$(${PIPES} | head -n 3 | tr '\n' ' ')
[ -z "$pipes" ] || { echo "pipes are where git reads, which would never end; take files with mode files and paths: $pipes" >&2; exit 1; }
rm -rf -- "$out"; mkdir -p -- "$out"
trap '[ $? -eq 0 ] || rm -rf -- "$out"' EXIT
GIT_INDEX_FILE=$out/index; export GIT_INDEX_FILE
at=HEAD
[ "$mode" = files ] || at=$(s rev-parse --quiet --verify ${UPDATE_REF} 2>/dev/null) || at=HEAD
if [ "$mode" = history ] && own=$(s rev-parse --absolute-git-dir 2>/dev/null) && base=$(standing); then
  head=$(s rev-parse --quiet --verify "$at^{commit}") || head=
  [ ! -f "$own/index" ] || cp -p -- "$own/index" "$GIT_INDEX_FILE"
else
  at=HEAD head= own=$out/git
  set -- --quiet --bare --template=
  [ \${#first} -eq 40 ] || set -- "$@" --object-format=sha256
  (cd -- "$out"; GIT_CEILING_DIRECTORIES=\${out%/*} s init "$@" git)
  mkdir -p "$own/info"; echo '* -text -ident !eol !filter !working-tree-encoding' > "$own/info/attributes"
  base=
  GIT_DIR=$own GIT_WORK_TREE=$PWD; export GIT_DIR GIT_WORK_TREE
  s config core.bare false
fi
${addAll('"$out"')}
tree=$(s write-tree)
[ "$at" = HEAD ] || tree=$(s rev-parse "$head^{tree}")
if [ -n "$head" ] && [ "$tree" = "$(s rev-parse "$head^{tree}")" ]; then tip=$head
else
  GIT_AUTHOR_NAME=job GIT_AUTHOR_EMAIL=job@sandbox.invalid GIT_COMMITTER_NAME=job GIT_COMMITTER_EMAIL=job@sandbox.invalid
  export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
  tip=$(s commit-tree "$tree" \${head:+-p "$head"} -m "Work that was not committed")
fi
{ echo "$tip"; [ -z "$base" ] || echo "^$base"; } | s pack-objects --revs --thin --stdout --quiet > "$out/pack"
echo "work $tip $(wc -c < "$out/pack") \${base:-$first}"
while IFS= read -r file; do
  s --literal-pathspecs ls-files --error-unmatch -- "$file" >/dev/null 2>&1 || printf '%s\\n' "$file"
done < "$out/large" | head -n 20
printf '\\0'
${UNBORN}
[ "$(wc -c < "$out/unread")" -le ${UNREAD_BYTES} ] || { echo "the job has shut itself out of more files and folders than can be named" >&2; exit 1; }
cat "$out/unread"`;

const objectsOf = (store: ProjectStore, folder: string): Readonly<Record<string, string>> => ({
  GIT_OBJECT_DIRECTORY: join(folder, "objects"),
  GIT_ALTERNATE_OBJECT_DIRECTORIES: join(store.folder, "git/objects"),
});

const folderOf = ({ folder }: Pick<ProjectStore, "folder">, jobID: string): string =>
  join(folder, "jobs", jobID.replace(/\W/g, "_"));

/** Where git finds a job's objects. */
export const jobObjectsEnv = (store: ProjectStore, jobID: string) => objectsOf(store, folderOf(store, jobID));

/** What was gathered of a job last; null when nothing was. */
export async function readChanges(store: ProjectStore, jobID: string): Promise<JobChanges | null> {
  const text = await readFile(join(folderOf(store, jobID), "work.json"), "utf8").catch(() => null);
  if (text === null) return null;
  try {
    return { ...NEW_IN_WORK, ...(JSON.parse(text) as JobChanges) };
  } catch {
    return null; // damaged: what the job's snapshot holds counts then
  }
}

/** Absent in what former versions kept. */
const NEW_IN_WORK: Partial<JobChanges> = { unread: [], unborn: [] };

export const removeChanges = (store: Pick<ProjectStore, "folder">, jobID: string): Promise<void> =>
  rm(folderOf(store, jobID), { recursive: true, force: true });

/**
 * Takes a job's work out of its sandbox and keeps it, in place of what was kept before. The job may be running.
 * @throws PluginError `collect_failed`, `sandbox_lost`
 */
export async function fetchChanges(request: FetchRequest): Promise<JobChanges> {
  const { store, jobID, scratchID } = request;
  const half = `${folderOf(store, jobID)}.${scratchID}`;
  try {
    // A history that git finds fault with is left behind: the files count.
    const work = await gather(request, half, "history").catch((error) => {
      if (error instanceof PluginError) throw error;
      return gather(request, half, "files");
    });
    await writeFile(join(half, "work.json"), JSON.stringify(work));
    await removeChanges(store, jobID);
    await rename(half, folderOf(store, jobID));
    return work;
  } catch (error) {
    if (error instanceof PluginError) throw error;
    if (error instanceof ScriptTimeoutError)
      throw new PluginError(
        "sandbox_lost",
        `The work of ${jobID} could not be taken out of its sandbox: ${error.message}.`,
        {
          cause: error,
          retryable: true,
        },
      );
    throw failed(jobID, error instanceof Error ? error.message : String(error), error);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}

async function gather(request: FetchRequest, half: string, mode: "history" | "files"): Promise<JobChanges> {
  const { store, sandbox, clock, jobID, scratchID } = request;
  const out = `${OUT}.${scratchID.replace(/\W/g, "_")}`;
  const bases = [request.base, ...(request.formerBases ?? [])].map(({ commit }) => commit);
  await rm(half, { recursive: true, force: true });
  await mkdir(join(half, "objects/pack"), { recursive: true, mode: 0o700 });
  const args = [sandbox.workdir, bases.join(" "), out, mode];
  const { tip, bytes, base, ...left } = parseWork(
    await runScript(sandbox, PACK, args, { clock, limitMs: LIMIT_MS }),
    jobID,
  );
  const env = objectsOf(store, half);
  await store.run(["index-pack", "--stdin", "--strict", "--fix-thin", `--max-input-size=${PACK_BYTES}`], {
    input: piecesOf(sandbox, `${out}/pack`, bytes),
    isUntrusted: true,
    env,
  });
  await runScript(sandbox, 'rm -rf -- "$1"', [out], { clock, limitMs: LIMIT_MS });
  const ask = async (...words: string[]) => (await store.run(words, { env, isUntrusted: true })).toString().trim();
  if ((await ask("cat-file", "-t", tip)) !== "commit") throw failed(jobID, "what it sent is no commit");
  if (!bases.includes(base)) throw failed(jobID, "what it sent stands on nothing it was given");
  const isGrown = await ask("merge-base", "--is-ancestor", base, tip).then(
    () => true,
    () => false,
  );
  const range = isGrown ? [tip, `^${base}`] : ["--max-count=1", tip];
  const commits = (await ask("rev-list", "--first-parent", "--reverse", ...range)).split("\n").filter(Boolean);
  return { base, tip, commits: commits.length > MAX_COMMITS ? [tip] : commits, ...left };
}

function parseWork({ code, stdout, stderr }: CommandEnd, jobID: string) {
  if (code === NO_GIT)
    throw failed(jobID, 'its sandbox has no git to tell changes by; use an image with git, or mode "files" with paths');
  const [lines = "", ...closed] = stdout.split("\0");
  const [first = "", ...large] = lines.trim().split("\n");
  const [, tip, size, base] = /^work ([0-9a-f]{40}|[0-9a-f]{64}) (\d{1,15}) ([0-9a-f]{40,64})$/.exec(first) ?? [];
  if (code !== 0 || !tip || !size || !base) throw new Error(`git in its sandbox failed: ${stderr.trim().slice(-500)}`);
  const bytes = Number(size);
  if (bytes > PACK_BYTES)
    throw failed(
      jobID,
      `its changes are larger than ${formatSize(PACK_BYTES)}; take what you need with mode "files" and paths`,
    );
  const named = closed.slice(0, -1);
  const unborn = named.filter((name) => name.startsWith("R")).map((name) => plainPath(name.slice(1)));
  if (unborn.includes("")) throw new Error("the job has made more repositories among its files than can be named");
  const unread = outermost(named.filter((name) => !name.startsWith("R")).map(plainPath));
  return { tip, bytes, base, leftOut: large.map(plainPath), unread, unborn };
}

/** Without what lies in another of them. */
function outermost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  return paths.filter((path) => {
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1))
      if (all.has(path.slice(0, at))) return false;
    return true;
  });
}

const plainPath = (name: string) => name.replace(/^\.\//, "");

async function* piecesOf(sandbox: Sandbox, path: string, bytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes; ) {
    const piece = await sandbox.readFile(path, { offset, maxBytes: Math.min(PIECE_BYTES, bytes - offset) });
    if (piece.length === 0) return; // git will find it cut off
    offset += piece.length;
    yield piece;
  }
}

function failed(jobID: string, why: string, cause?: unknown): PluginError {
  return new PluginError("collect_failed", `Could not collect the work of ${jobID}: ${why}.`, {
    cause,
    retryable: false,
  });
}
