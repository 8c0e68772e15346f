import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { GitError } from "../git-error.ts";
import { foldersAbove, formatSize } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { type JobChanges, openPlace, placeEnv, removePlace, saveChanges } from "../project/stored-changes.ts";
import { ELSEWHERE, LEAVE_ORPHAN, LOOK_AT_INDEX, parseElsewhere, SURVEY } from "./elsewhere.ts";
import { addAll, JOB_GIT, listUncommitted, NO_GIT, PIPES, UPDATE_REF } from "./job-git.ts";
import { TAKE_NESTED } from "./nested-repositories.ts";
import { type CommandEnd, runScript, ScriptTimeoutError } from "./run-script.ts";

/*
 * Fetches a job's changes from its sandbox. Everything that arrives is untrusted: objects go into a folder of their own,
 * and git checks each of them. Nothing is written to the user's repository here.
 */

export interface FetchRequest {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  /** Earlier bases, newest first: a sandbox restored from an older snapshot still starts from one of them. */
  readonly formerBases?: readonly TreeBase[];
  readonly jobID: string;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Names the scratch files of this call, here and in the sandbox. */
  readonly scratchID: string;
}

/** Completed by the scratch ID, which the job does not know, so that it cannot put anything in the way. */
const SCRATCH_FOLDER = "/tmp/.parallel-agents-changes";
const PIECE_BYTES = 8 * 1024 * 1024;
const PACK_BYTES = 512 * 1024 * 1024;
const LIMIT_MS = 3 * 60_000;
/** A longer history is squashed into one commit: nobody reads that many one by one. */
const MAX_COMMITS = 100;
/** Names of unreadable files. Names cut off beyond this limit would pass for removed files, so exceeding it is an error. */
const UNREAD_BYTES = 512 * 1024;

/** The rest is dropped. */
const ELSEWHERE_BYTES = 256 * 1024;

/**
 * Works on copies: the job's index, files and branches stay as they are, and the job may go on meanwhile. The copied index
 * keeps its modification time, by which git notices a file that changed in the same second. Where an update was broken
 * off, the commit from before the update is used. In mode `files` git never looks at the job's repository, which could
 * block it with pipes.
 */
const PACK = `set -e
${JOB_GIT}
cd -- "$1"; bases=$2 out=$3 mode=$4
at_files
first=\${bases%% *}
find_base() {
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
[ -z "$pipes" ] || { echo "pipes in places that git reads would block it for ever; take files with mode files and paths instead: $pipes" >&2; exit 1; }
rm -rf -- "$out"; mkdir -p -- "$out"
trap '[ $? -eq 0 ] || rm -rf -- "$out"' EXIT
${ELSEWHERE}
GIT_INDEX_FILE=$out/index; export GIT_INDEX_FILE
at=HEAD staged=
[ "$mode" = files ] || at=$(s rev-parse --quiet --verify ${UPDATE_REF} 2>/dev/null) || at=HEAD
if [ "$mode" = history ] && own=$(s rev-parse --absolute-git-dir 2>/dev/null) && base=$(find_base); then
  head=$(s rev-parse --quiet --verify "$at^{commit}") || head=
  [ ! -f "$own/index" ] || cp -p -- "$own/index" "$GIT_INDEX_FILE"
  ${LOOK_AT_INDEX}
else
  elsewhere history 0 ""
  at=HEAD head= own=$out/git
  set -- --quiet --bare --template=
  [ \${#first} -eq 40 ] || set -- "$@" --object-format=sha256
  (unset GIT_WORK_TREE; cd -- "$out"; GIT_CEILING_DIRECTORIES=\${out%/*} s init "$@" git)
  mkdir -p "$own/info"; echo '* -text -ident !eol !filter !working-tree-encoding' > "$own/info/attributes"
  base=
  GIT_DIR=$own; export GIT_DIR
  s config core.bare false
fi
${addAll('"$out"')}
${TAKE_NESTED}
tree=$(s write-tree)
[ "$at" = HEAD ] || tree=$(s rev-parse "$head^{tree}")
if [ -n "$head" ] && [ "$tree" = "$(s rev-parse "$head^{tree}")" ]; then tip=$head
else
  GIT_AUTHOR_NAME=job GIT_AUTHOR_EMAIL=job@sandbox.invalid GIT_COMMITTER_NAME=job GIT_COMMITTER_EMAIL=job@sandbox.invalid
  export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
  tip=$(s commit-tree "$tree" \${head:+-p "$head"} -m "Work that was not committed")
fi
if [ "$at" = HEAD ] && [ -n "$base" ]; then
${LEAVE_ORPHAN}
${SURVEY}
fi
{ echo "$tip"; [ -z "$base" ] || echo "^$base"; } | s pack-objects --revs --thin --stdout --quiet > "$out/pack"
echo "changes $tip $(wc -c < "$out/pack") \${base:-$first}"
printf '\\0'
${listUncommitted('"$out"')}
[ "$(wc -c < "$out/unread")" -le ${UNREAD_BYTES} ] || { echo "the job has no permission to read more files and folders than can be listed" >&2; exit 1; }
cat "$out/unread"
head -c ${ELSEWHERE_BYTES} "$out/elsewhere"`;

/**
 * Fetches a job's changes and records them as its newest. The job may be running.
 * @throws PluginError `collect_failed`, `sandbox_lost`
 */
export async function fetchChanges(request: FetchRequest): Promise<JobChanges> {
  const { store, jobID, scratchID } = request;
  try {
    // Where git finds fault with the job's history, its files are fetched without it.
    const changes = await fetchAs(request, "history").catch((error) => {
      if (error instanceof PluginError) throw error;
      return fetchAs(request, "files");
    });
    await saveChanges(store, jobID, changes);
    return changes;
  } catch (error) {
    await removePlace(store, jobID, scratchID);
    if (error instanceof PluginError) throw error;
    if (error instanceof ScriptTimeoutError)
      throw new PluginError(
        "sandbox_lost",
        `Could not fetch the changes of ${jobID} from its sandbox: ${error.message}.`,
        { cause: error, retryable: true },
      );
    const why = error instanceof Error ? error.message : String(error);
    throw failed(jobID, /fsck/.test(why) ? `${why}; take what you need with mode "files" and paths` : why, error);
  }
}

async function fetchAs(request: FetchRequest, mode: "history" | "files"): Promise<JobChanges> {
  const { store, sandbox, clock, jobID, scratchID } = request;
  const out = `${SCRATCH_FOLDER}.${scratchID.replace(/\W/g, "_")}`;
  const bases = [request.base, ...(request.formerBases ?? [])].map(({ commit }) => commit);
  const place = await openPlace(store, jobID, scratchID);
  const args = [sandbox.workdir, bases.join(" "), out, mode];
  const end = await runScript(sandbox, PACK, args, { clock, limitMs: LIMIT_MS });
  const { tip, bytes, base, ...missing } = parseReport(end, jobID);
  const env = placeEnv(store, jobID, place);
  await indexPack();
  await runScript(sandbox, 'rm -rf -- "$1"', [out], { clock, limitMs: LIMIT_MS });
  const ask = async (...words: string[]) => (await store.run(words, { env, isUntrusted: true })).toString().trim();
  if ((await ask("cat-file", "-t", tip)) !== "commit")
    throw failed(jobID, "its sandbox sent something other than a commit");
  if (!bases.includes(base)) throw failed(jobID, "its sandbox sent a commit with an unknown base");
  const hasHistory = await ask("merge-base", "--is-ancestor", base, tip).then(
    () => true,
    () => false,
  );
  const range = hasHistory ? [tip, `^${base}`] : ["--max-count=1", tip];
  const commits = (await ask("rev-list", "--first-parent", "--reverse", ...range)).split("\n").filter(Boolean);
  const isLong = commits.length > MAX_COMMITS;
  return { base, tip, commits: isLong ? [tip] : commits, squashed: isLong ? commits.length : 0, ...missing, place };

  /** @param accepted checks that have failed, and are left out */
  async function indexPack(accepted: readonly string[] = []): Promise<void> {
    const strict = accepted.length === 0 ? "--strict" : `--strict=${accepted.map((id) => `${id}=ignore`).join(",")}`;
    try {
      await store.run(["index-pack", "--stdin", strict, "--fix-thin", `--max-input-size=${PACK_BYTES}`], {
        input: piecesOf(sandbox, `${out}/pack`, bytes),
        isUntrusted: true,
        env,
      });
    } catch (error) {
      const [id] = (error instanceof GitError && OF_GIT_FILES.exec(error.message)) || [];
      if (id === undefined || accepted.includes(id)) throw error;
      await indexPack([...accepted, id]);
    }
  }
}

/**
 * Checks of what is in git's own files. Such a file does no harm in our store, where git obeys none, and is left out of
 * what enters the user's repository (`git-own-files.ts`). A git that fails a check knows its name.
 */
const OF_GIT_FILES = /\bgit(attributes(LineLength|Large)|modules(Name|Url|Path|Update|Parse|Large))\b/;

/** Parses what `PACK` prints. All of it is untrusted. */
function parseReport({ code, stdout, stderr }: CommandEnd, jobID: string) {
  if (code === NO_GIT) throw new NoGitError(jobID);
  const [first = "", ...names] = stdout.split("\0");
  const [, tip, size, base] =
    /^changes ([0-9a-f]{40}|[0-9a-f]{64}) (\d{1,15}) ([0-9a-f]{40,64})$/.exec(first.trim()) ?? [];
  if (code !== 0 || !tip || !size || !base) throw new Error(`git in its sandbox failed: ${stderr.trim().slice(-500)}`);
  const bytes = Number(size);
  if (bytes > PACK_BYTES)
    throw failed(
      jobID,
      `its changes are larger than ${formatSize(PACK_BYTES)}; take what you need with mode "files" and paths`,
    );
  names.pop();
  const of = (letter: string) =>
    names.filter((name) => name.startsWith(letter)).map((name) => plainPath(name.slice(1)));
  const elsewhere = names.flatMap((name) => (name.startsWith("W") ? (parseElsewhere(name.slice(1)) ?? []) : []));
  const unborn = elsewhere.flatMap(({ kind, name }) => (kind === "unborn" ? [name] : []));
  const unread = outermost(names.filter((name) => name.startsWith("./")).map(plainPath));
  const unlisted = of("+").reduce((sum, count) => sum + (Number(count) || 0), 0);
  const listed = of("I");
  const folders = new Set(listed.filter((path) => path.endsWith("/")));
  const ignored = listed.filter((path) => !foldersAbove(path).some((folder) => folders.has(folder)));
  const passed = new Set(of("X"));
  const known = {
    leftOut: of("L"),
    special: of("S").filter((path) => !passed.has(path)),
    ignored,
    unlisted,
    elsewhere,
  };
  return { tip, bytes, base, ...known, emptyFolders: of("E").filter((path) => !passed.has(path)), unread, unborn };
}

/** The paths without those that lie below another one. */
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
    if (piece.length === 0) return; // git fails on a truncated pack
    offset += piece.length;
    yield piece;
  }
}

/** There is no git in a job's sandbox, so that nothing there tells its changes. */
export class NoGitError extends PluginError {
  constructor(jobID: string) {
    const why = 'its sandbox has no git to tell changes by; use an image with git, or mode "files" with paths';
    super("collect_failed", describeFailure(jobID, why), { retryable: false });
  }
}

const describeFailure = (jobID: string, why: string): string => `Could not fetch the changes of ${jobID}: ${why}.`;

const failed = (jobID: string, why: string, cause?: unknown): PluginError =>
  new PluginError("collect_failed", describeFailure(jobID, why), { cause, retryable: false });
