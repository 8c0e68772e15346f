import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { joinRecords, toText } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { addAll, JOB_GIT, NO_GIT, PIPES, UPDATE_REF } from "./job-git.ts";
import { type CommandEnd, runScript } from "./run-script.ts";
import { LIMIT_MS, packTo, putContent, STAGE } from "./send-tree.ts";

/*
 * Moves a job's repository onto a newer state of the project, inside its sandbox. The job's commits are rebased one by
 * one. If that conflicts, all of its changes are applied to the new state at once instead, so that its files contain
 * everything, conflicts marked. An update either succeeds as a whole or changes nothing.
 */

export interface UpdateRequest {
  readonly store: ProjectStore;
  /** Bases that the repository may start from, newest first. */
  readonly from: readonly TreeBase[];
  readonly to: TreeBase;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Names the scratch file of this call. */
  readonly scratchID: string;
  readonly signal: AbortSignal;
}

/** `same`: the repository was already based on `to`. Paths are text. */
export type UpdateResult =
  | { readonly kind: "same" | "clean" }
  | { readonly kind: "conflicts"; readonly paths: string[] };

/** Subject of the commit that holds the job's uncommitted changes while an update runs. */
const UNCOMMITTED = "Work that was not committed, put aside for an update";

const UPDATING = `${JOB_GIT}
cd -- "$1" || exit 1; shift
at_files
uncommit() { [ "$(s log -1 --format=%s)" != "${UNCOMMITTED}" ] || s reset --quiet HEAD~1; }
recover() {
  left=$(s rev-parse --quiet --verify ${UPDATE_REF}) || return 0
  rm -f -- "$own/index.lock" "$own/HEAD.lock"
  s rebase --abort >/dev/null 2>&1 || true
  s reset --quiet --hard "$left" && uncommit && s update-ref -d ${UPDATE_REF}
}
own=$(s rev-parse --absolute-git-dir) || exit 1`;

/** Undoes what an update had changed before it failed or was killed. */
const RECOVER = `${UPDATING}
rm -rf -- "$1"; recover`;

/** Prints the base that the job's repository starts from, and fails where it cannot be updated. */
const FIND_BASE = `${UPDATING}
pipes=$(${PIPES} | head -n 3 | tr '\n' ' ')
[ -z "$pipes" ] || { echo "pipes in places that git reads would block it for ever: $pipes" >&2; exit 1; }
recover || exit 1
for one in rebase-merge rebase-apply MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD; do
  [ ! -e "$own/$one" ] || { echo "a rebase, merge, cherry-pick or revert is under way in it" >&2; exit 1; }
done
[ -z "$(s ls-files --unmerged | head -n 1)" ] || { echo "conflicts in it are not resolved" >&2; exit 1; }
for one in "$@"; do
  ! s merge-base --is-ancestor "$one" HEAD 2>/dev/null || { echo "$one"; exit 0; }
done
echo "its history no longer holds the project's files it started from" >&2; exit 1`;

/** Prints NUL-terminated "clean", or "conflicts" and the paths of the files with conflict markers. */
const REBASE = `set -e
${UPDATING}
stage=$1 from=$2 to=$3
GIT_COMMITTER_NAME=$(s config user.name || echo job) GIT_COMMITTER_EMAIL=$(s config user.email || echo job@sandbox.invalid)
export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
cat "$stage"/part.* | s index-pack --stdin >/dev/null
${addAll('"$stage"')}
if [ "$(s write-tree)" != "$(s rev-parse 'HEAD^{tree}')" ]; then
  s commit --quiet --no-verify --author="$GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL>" -m "${UNCOMMITTED}"
fi
before=$(s rev-parse HEAD)
s update-ref ${UPDATE_REF} "$before"
s diff-tree -r -z --name-only --diff-filter=A "$before" "$to" > "$stage/new"
taken=$(xargs -0 -r sh -c 'for f; do if [ -L "$f" ] || { [ -e "$f" ] && [ ! -d "$f" ]; }; then echo "$f"; fi; done' taken < "$stage/new")
[ -z "$taken" ] || { echo "it would overwrite files of the job that git does not track: $taken" >&2; exit 1; }
rebase() {
  [ -z "$(s rev-list --merges "$from..$before" | head -n 1)" ] || return 1
  s -c rebase.autoSquash=false -c rebase.updateRefs=false rebase --quiet --onto "$to" "$from" >/dev/null 2>&1
}
if rebase; then how=clean; uncommit
else
  how=conflicts
  s rebase --abort >/dev/null 2>&1 || true
  squashed=$(GIT_AUTHOR_NAME=job GIT_AUTHOR_EMAIL=job@sandbox.invalid s commit-tree "$before^{tree}" -p "$from" -m "All work before the update")
  s reset --quiet --hard "$to"
  s -c rerere.enabled=false cherry-pick --no-commit "$squashed" >/dev/null 2>"$stage/errors" || {
    [ -n "$(s ls-files --unmerged | head -n 1)" ] || { cat "$stage/errors" >&2; exit 1; }
  }
  s update-ref refs/heads/before-update "$before"
fi
s update-ref -d ${UPDATE_REF}
xargs -0 -r mkdir -p -- < "$stage/folders"
printf '%s\\0' "$how"
s diff --name-only --diff-filter=U -z
rm -rf -- "$stage"`;

/** @throws PluginError `workspace_failed`, after which nothing has changed; `sandbox_lost` */
export async function updateTree({
  store,
  from,
  to,
  sandbox,
  clock,
  scratchID,
  signal,
}: UpdateRequest): Promise<UpdateResult> {
  const bounds = { clock, limitMs: LIMIT_MS };
  const run = (script: string, ...args: string[]) =>
    runScript(sandbox, script, [sandbox.workdir, ...args], { ...bounds, signal });
  const known = [to, ...from].map(({ commit }) => commit);
  const currentBase = succeeded(await run(FIND_BASE, ...known)).trim();
  if (currentBase === to.commit) return { kind: "same" };
  if (!known.includes(currentBase)) throw failed("git in its sandbox printed something unexpected");
  await run('rm -rf -- "$2"', STAGE);
  try {
    await sandbox.writeFile(`${STAGE}/folders`, joinRecords(to.emptyFolders));
    await putContent({ store, sandbox, scratchID }, (path) => packTo(path, store, to.commit, currentBase));
    const output = succeeded(await run(REBASE, STAGE, currentBase, to.commit));
    const [how, ...paths] = output.split("\0").slice(0, -1);
    return how === "clean" ? { kind: "clean" } : { kind: "conflicts", paths: paths.map(toText) };
  } catch (error) {
    // If this fails too, the next update recovers; until then changes are fetched from the commit before the update.
    await runScript(sandbox, RECOVER, [sandbox.workdir, STAGE], bounds).catch(() => null);
    throw error;
  }
}

function succeeded({ code, stdout, stderr }: CommandEnd): string {
  if (code === 0) return stdout;
  if (code === NO_GIT) throw failed("its sandbox has no git");
  throw failed(stderr.trim().slice(-500) || `git in its sandbox exited with ${code}`);
}

const failed = (why: string) => new PluginError("workspace_failed", why, { retryable: false });
