import type { Sandbox } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";
import { LabError } from "../shared/error-code.ts";
import type { TreeBase } from "./capture-tree.ts";
import { joinRecords, toText } from "./paths.ts";
import type { ProjectStore } from "./project-store.ts";
import { type CommandEnd, runScript } from "./sandbox-command.ts";
import { GIT_FUNCTION, LIMIT_MS, packTo, putContent, STAGE } from "./send-tree.ts";

/*
 * Brings a job's repository onto a newer state of the project, inside its sandbox. Its commits are rebased one by one;
 * where that meets a conflict, all of its work is laid over the new state at once instead, so that it stands whole in
 * its files, the conflicts marked, whatever becomes of the job then. Nothing changes unless all of it can.
 */

export interface UpdateRequest {
  readonly store: ProjectStore;
  /** What the repository may stand on, newest first. */
  readonly from: readonly TreeBase[];
  readonly to: TreeBase;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  /** Names the scratch file of this call. */
  readonly nonce: string;
  readonly signal: AbortSignal;
}

/** `same`: it stood there already. Paths are text. */
export type Updated = { readonly kind: "same" | "clean" } | { readonly kind: "conflicts"; readonly paths: string[] };

/** Of one untracked file; larger ones stay where they are, as when work is collected. */
const FILE_MIB = 100;
const NO_GIT = 64;

const STANDING = `${GIT_FUNCTION}
cd -- "$1" || exit 1; shift
command -v git >/dev/null || exit ${NO_GIT}
own=$(g rev-parse --absolute-git-dir) || exit 1
for one in rebase-merge rebase-apply MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD; do
  [ ! -e "$own/$one" ] || { echo "a rebase, merge, cherry-pick or revert is under way in it" >&2; exit 1; }
done
[ -z "$(g ls-files --unmerged | head -n 1)" ] || { echo "conflicts in it are not resolved" >&2; exit 1; }
for one in "$@"; do
  ! g merge-base --is-ancestor "$one" HEAD 2>/dev/null || { echo "$one"; exit 0; }
done
echo "its history no longer holds the project's files it started from" >&2; exit 1`;

const REBASE = `set -e
${GIT_FUNCTION}
cd -- "$1"; stage=$2 from=$3 to=$4 limit=$5
s() {
  g -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.autocrlf=false -c gc.auto=0 -c commit.gpgSign=false \
    -c rebase.autoSquash=false -c rebase.updateRefs=false -c rerere.enabled=false -c advice.detachedHead=false "$@"
}
GIT_COMMITTER_NAME=$(s config user.name || echo job) GIT_COMMITTER_EMAIL=$(s config user.email || echo job@sandbox.invalid)
export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
author="$GIT_COMMITTER_NAME <$GIT_COMMITTER_EMAIL>"
cat "$stage"/part.* | s index-pack --stdin >/dev/null
find . -name .git -prune -o -type f -size +"$limit"M -print | sed 's/[][*?!#\\\\ ]/\\\\&/g; s/^\\.//' > "$stage/exclude"
s -c core.excludesFile="$stage/exclude" -c advice.addEmbeddedRepo=false add --all --ignore-errors . >&2 || true
head=$(s rev-parse HEAD) rest="Work that was not committed, $$"
if [ "$(s write-tree)" != "$(s rev-parse "$head^{tree}")" ]; then
  s commit --quiet --no-verify --author="$author" -m "$rest"
fi
before=$(s rev-parse HEAD)
uncommit() { [ "$(s log -1 --format=%s)" != "$rest" ] || s reset --quiet HEAD~1; }
back() { s rebase --abort >/dev/null 2>&1 || true; s reset --quiet --hard "$before"; }
give_up() { back; uncommit; rm -rf -- "$stage"; exit 1; }
s diff-tree -r -z --name-only --diff-filter=A "$before" "$to" > "$stage/new"
taken=$(xargs -0 -r sh -c 'for f; do if [ -L "$f" ] || { [ -e "$f" ] && [ ! -d "$f" ]; }; then echo "$f"; fi; done' taken < "$stage/new")
if [ -n "$taken" ]; then
  uncommit; rm -rf -- "$stage"
  echo "it would write over files of the job that git does not track: $taken" >&2; exit 1
fi
if [ -z "$(s rev-list --merges "$from..$before" | head -n 1)" ] && s rebase --quiet --onto "$to" "$from" >/dev/null 2>"$stage/said"; then
  uncommit
  how=clean
else
  back
  whole=$(GIT_AUTHOR_NAME=job GIT_AUTHOR_EMAIL=job@sandbox.invalid s commit-tree "$before^{tree}" -p "$from" -m "All work before the update")
  s reset --quiet --hard "$to"
  s cherry-pick --no-commit "$whole" >/dev/null 2>"$stage/said" || [ -n "$(s ls-files --unmerged | head -n 1)" ] || { cat "$stage/said" >&2; give_up; }
  s update-ref refs/heads/before-update "$before"
  how=conflicts
fi
xargs -0 -r mkdir -p -- < "$stage/folders"
printf '%s\\0' "$how"
s diff --name-only --diff-filter=U -z
rm -rf -- "$stage"`;

/** @throws LabError `workspace_failed`: why nothing was changed; `sandbox_lost` */
export async function updateTree({ store, from, to, sandbox, clock, nonce, signal }: UpdateRequest): Promise<Updated> {
  const run = (script: string, ...args: string[]) =>
    runScript(sandbox, script, [sandbox.workdir, ...args], { clock, limitMs: LIMIT_MS, signal });
  const known = [to, ...from].map(({ commit }) => commit);
  const standing = succeeded(await run(STANDING, ...known)).trim();
  if (standing === to.commit) return { kind: "same" };
  if (!known.includes(standing)) throw failed("its repository answered what makes no sense");
  await run('rm -rf -- "$2"', STAGE);
  await sandbox.writeFile(`${STAGE}/folders`, joinRecords(to.emptyFolders));
  await putContent({ store, sandbox, nonce }, (path) => packTo(path, store, to.commit, standing));
  const said = succeeded(await run(REBASE, STAGE, standing, to.commit, String(FILE_MIB)));
  const [how, ...paths] = said.split("\0").slice(0, -1);
  if (how === "clean") return { kind: "clean" };
  return { kind: "conflicts", paths: paths.map(toText) };
}

function succeeded({ code, stdout, stderr }: CommandEnd): string {
  if (code === 0) return stdout;
  if (code === NO_GIT) throw failed("its sandbox has no git");
  throw failed(stderr.trim().slice(-500) || `git in its sandbox ended with ${code}`);
}

const failed = (why: string) => new LabError("workspace_failed", why, { retryable: false });
