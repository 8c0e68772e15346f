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

/** Longer paths the kernel takes in pieces only, which no tool here does. */
const PATH_BYTES = 4_000;

/** A pattern of `find -path`, in a variable of that name. */
export const LONG = `LONG="./$(printf '%0${PATH_BYTES}d' 0 | tr 0 '?')*"`;

/**
 * Prints, each ended by NUL, what cannot be read: files and folders that their modes close to the job itself, and the
 * first folder of each path that is too long.
 */
const UNREAD = `find . -name .git -prune -o -path "$LONG" -prune -exec sh -c 'printf "%s\\0" "$@"' sh {} + \\
  -o ! -type l \\( ! -perm -400 -o -type d ! -perm -500 \\) -exec sh -c '
  for f do [ -r "$f" ] && { [ ! -d "$f" ] || [ -x "$f" ]; } || printf "%s\\0" "$f"; done' sh {} + 2>/dev/null || true`;

/** Signs of a pattern, quoted; a line break, here \001, is any one character. */
const TO_PATTERN = `sed 's/[][*?!#\\\\ ]/\\\\&/g; s/^\\.//' | tr '\\001' '?'`;

/**
 * Adds all of the work directory to the index, but for large untracked files and what cannot be read, at which git would
 * break off: `large` and `unread` in `folder` have their names.
 */
export const addAll = (
  folder: string,
): string => `find . -name .git -prune -o -type f -size +${FILE_MIB}M -print > ${folder}/large 2>/dev/null || true
${LONG}
{ ${UNREAD}; } > ${folder}/unread
{ cat ${folder}/large; tr '\\n\\0' '\\001\\n' < ${folder}/unread; } | ${TO_PATTERN} > ${folder}/exclude
s -c core.excludesFile=${folder}/exclude -c advice.addEmbeddedRepo=false add --all --ignore-errors . >&2 || [ $? -eq 1 ]`;

/** More are not looked for: each costs two runs of git. */
const MOST_UNBORN = 1_000;

/**
 * Prints, each behind an "R" and ended by NUL, repositories in the work directory of which nothing is in the index: git
 * takes nothing of one without a commit. One with a commit is an entry there. An "R" alone: there are too many.
 */
export const UNBORN = `find . -mindepth 2 -name .git -prune -exec sh -c '
  n=0; g() { GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null git -c core.fsmonitor=false "$@"; }
  for f do
    n=$((n + 1)); [ "$n" -le ${MOST_UNBORN} ] || { printf "R\\0"; break; }
    d=\${f%/.git}
    [ -z "$(g --literal-pathspecs ls-files -- "$d" | head -n 1)" ] && ! g check-ignore -q -- "$d" && printf "R%s\\0" "$d"
  done' sh {} + 2>/dev/null || true`;

/** Pipes where git reads what is not its own repository: it would never come to an end. */
export const PIPES = `find . -path ./.git -prune -o -type p '(' -name .gitignore -o -name .gitattributes -o -path '*/.git/*' ')' -print`;

/** The job's last commit while its files are brought up to date: by it an update that broke off is undone. */
export const UPDATE_REF = "refs/parallel-agents/update";
