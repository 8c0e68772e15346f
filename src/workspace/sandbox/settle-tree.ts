import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { splitRecords, toText } from "../paths.ts";
import { JOB_GIT, SETUP_REFS } from "./job-git.ts";
import { runScript } from "./run-script.ts";

/** What commands that ran on a project's files have left of them. */
export interface SettledTree {
  /** Files of the project that they had changed or removed, and that are as the project has them again. */
  readonly restored: readonly string[];
  /** Files and folders that they made and that git would take for a job's work; folders end in a slash. */
  readonly added: readonly string[];
}

const LIMIT_MS = 10 * 60_000;
/** Names of each kind that are told. */
const MAX_NAMES = 200;

/**
 * Restores the project's own files, remembers the branches and tags, and excludes what is new beside the files from what a job
 * is taken to have made, in the repository of this sandbox alone: in `.git/info/exclude`, as patterns that name each exactly.
 */
const SETTLE = `set -e
${JOB_GIT}
cd -- "$1"; commit=$2
[ -d .git ] && [ ! -L .git ] || { echo ".git there is gone or has been replaced" >&2; exit 1; }
at_files
rm -f .git/index.lock .git/HEAD.lock
s symbolic-ref HEAD refs/heads/main
s update-ref --no-deref refs/heads/main "$commit"
s for-each-ref --format='update ${SETUP_REFS}/%(refname:lstrip=1) %(objectname)' refs/heads refs/tags | s update-ref --stdin
s update-index -q --refresh >/dev/null || true
list=.git/parallel-agents-list
some() { tr '\\n\\0' '\\001\\n' < "$list" | head -n ${MAX_NAMES} | tr '\\n\\001' '\\0\\n'; }
s diff-index --name-only -z "$commit" -- > "$list"
some
printf '\\0'
s read-tree --reset -u "$commit"
s ls-files -z --others --exclude-standard --directory > "$list"
some
mkdir -p .git/info
tr '\\n\\0' '\\001\\n' < "$list" | sed 's/[][*?!#\\\\ ]/\\\\&/g; s|^|/|' | tr '\\001' '?' >> .git/info/exclude
rm -f "$list"`;

/** @throws PluginError `workspace_failed`, `sandbox_lost` */
export async function settleTree(
  sandbox: Sandbox,
  environment: string,
  commit: string,
  clock: Clock,
): Promise<SettledTree> {
  const { code, stdout, stderr } = await runScript(sandbox, SETTLE, [sandbox.workdir, commit], {
    clock,
    limitMs: LIMIT_MS,
  });
  if (code !== 0) {
    const why = stderr.trim().slice(-500) || `the command exited with ${code}`;
    const message = `Could not put the project's files in ${sandbox.workdir} in order after the set-up of environment ${environment}: ${why}. Jobs' changes are collected by the repository there: have the set-up leave that folder and its .git in place.`;
    throw new PluginError("workspace_failed", message, { retryable: false });
  }
  const records = splitRecords(Buffer.from(stdout, "latin1"));
  const end = records.indexOf("");
  return { restored: records.slice(0, end).map(toText), added: records.slice(end + 1).map(toText) };
}
