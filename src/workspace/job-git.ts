/*
 * Pieces of the shell scripts that run git in a job's repository, inside its sandbox. All of it is the job's: nothing
 * configured there counts, and no hook or monitor runs.
 */

/** Also where the repository is only about to be made. */
export const GIT_FUNCTION = `g() { GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 git "$@"; }`;

/** Exit code of a script that finds no git. */
export const NO_GIT = 64;

/** `s` is git on the job's repository. */
export const JOB_GIT = `${GIT_FUNCTION}
command -v git >/dev/null || exit ${NO_GIT}
s() { g -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.autocrlf=false -c gc.auto=0 -c commit.gpgSign=false "$@"; }`;

/** Of one untracked file. Results of this size are asked for by name. */
const FILE_MIB = 100;

/** Adds all of the work directory to the index, but for large untracked files: `large` in `folder` has their names. */
export const addAll = (
  folder: string,
): string => `find . -name .git -prune -o -type f -size +${FILE_MIB}M -print > ${folder}/large
sed 's/[][*?!#\\\\ ]/\\\\&/g; s/^\\.//' < ${folder}/large > ${folder}/exclude
s -c core.excludesFile=${folder}/exclude -c advice.addEmbeddedRepo=false add --all --ignore-errors . >&2 || true`;

/** The job's last commit while its files are brought up to date: by it an update that broke off is undone. */
export const UPDATE_REF = "refs/parallel-agents/update";
