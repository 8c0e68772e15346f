/*
 * Pieces of the shell scripts that run git in a job's repository, inside its sandbox. The repository is untrusted: its
 * user-level and system-level configuration is ignored, and so are those of its own settings under which git would not see
 * files as they are; no hook or monitor runs.
 */

/** Defines `g`: git without anyone's configuration, also before the repository exists. */
export const GIT_FUNCTION = `g() { GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 git "$@"; }`;

/** Exit code of a script that finds no git in the sandbox. */
export const NO_GIT = 64;

/**
 * Defines `s`: git on the job's repository; and `at_files`, after which its files are those of the current folder, wherever
 * the repository's own settings say they are (`core.worktree`, `core.bare`).
 */
export const JOB_GIT = `${GIT_FUNCTION}
command -v git >/dev/null || exit ${NO_GIT}
at_files() { GIT_WORK_TREE=$(pwd -P); export GIT_WORK_TREE; }
s() {
  g --no-replace-objects -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.untrackedCache=false -c core.splitIndex=false \\
    -c core.autocrlf=false -c core.fileMode=true -c core.symlinks=true -c core.ignoreCase=false -c core.precomposeUnicode=false \\
    -c core.checkStat=default -c core.trustctime=true -c core.ignoreStat=false -c gc.auto=0 -c commit.gpgSign=false "$@"
}`;

/** Largest untracked file that is committed, MiB. Larger ones are collected by name. */
const FILE_MIB = 100;

/** Longest path in bytes; the kernel refuses a longer one in a single call (PATH_MAX), which is all that the tools make. */
const PATH_BYTES = 4_000;

/** Sets `LONG` to a `find -path` pattern of paths that are too long. */
export const LONG = `LONG="./$(printf '%0${PATH_BYTES}d' 0 | tr 0 '?')*"`;

/**
 * Prints what cannot be read, NUL-terminated: files and folders that the job itself has no permission for, and the first
 * folder of each path that is too long.
 */
const UNREAD = `find . -name .git -prune -o -path "$LONG" -prune -exec sh -c 'printf "%s\\0" "$@"' sh {} + \\
  -o ! -type l \\( ! -perm -400 -o -type d ! -perm -500 \\) -exec sh -c '
  for f do [ -r "$f" ] && { [ ! -d "$f" ] || [ -x "$f" ]; } || printf "%s\\0" "$f"; done' sh {} + 2>/dev/null || true`;

/** Turns paths into patterns of `.gitignore`: special characters are quoted, and a line break, here \001, becomes `?`. */
const TO_PATTERN = `sed 's/[][*?!#\\\\ ]/\\\\&/g; s/^\\.//' | tr '\\001' '?'`;

/**
 * Adds the work directory to the index, except large untracked files and whatever cannot be read, at which git would stop.
 * Their names are written to the files `large` and `unread` in `folder`.
 */
export const addAll = (
  folder: string,
): string => `find . -name .git -prune -o -type f -size +${FILE_MIB}M -print > ${folder}/large 2>/dev/null || true
${LONG}
{ ${UNREAD}; } > ${folder}/unread
{ cat ${folder}/large; tr '\\n\\0' '\\001\\n' < ${folder}/unread; } | ${TO_PATTERN} > ${folder}/exclude
while IFS= read -r file; do
  s --literal-pathspecs ls-files --error-unmatch -- "$file" >/dev/null 2>&1 || printf '%s\\0' "$file"
done < ${folder}/large > ${folder}/untracked
added=0
s -c core.sparseCheckout=false -c core.excludesFile=${folder}/exclude -c advice.addEmbeddedRepo=false add --all --ignore-errors . >&2 || added=$?
# A .gitignore that lists what is not ignored takes precedence over the patterns.
s update-index -z --force-remove --stdin < ${folder}/untracked
[ "$added" -le 1 ]`;

/** Names of each kind that are listed. */
const MAX_NAMES = 1_000;

/**
 * Prints what a commit cannot hold, NUL-terminated, each name after a letter: I for what git ignores, S for pipes, sockets
 * and devices, E for empty folders, X for those of both that git ignores, L for large files that git does not track; and after a + the number of further ones. Folders
 * come first, as they stand for everything in them.
 */
export const listUncommitted = (folder: string): string => `as() {
  tr '\\n\\0' '\\001\\n' > ${folder}/names
  { grep '/$' ${folder}/names || true; grep -v '/$' ${folder}/names || true; } | head -n ${MAX_NAMES} | sed "s/^/$1/" | tr '\\n\\001' '\\0\\n'
  count=$(wc -l < ${folder}/names)
  [ "$count" -le ${MAX_NAMES} ] || printf '+%s\\0' "$((count - ${MAX_NAMES}))"
}
{ s ls-files -z --others --ignored --exclude-standard --directory 2>/dev/null || true; } | as I
find . -name .git -prune -o '(' -type p -o -type s -o -type b -o -type c ')' -exec sh -c 'printf "%s\\0" "$@"' sh {} + > ${folder}/special 2>/dev/null || true
find . -mindepth 1 -name .git -prune -o -type d -empty -exec sh -c 'printf "%s\\0" "$@"' sh {} + > ${folder}/empty 2>/dev/null || true
as S < ${folder}/special
as E < ${folder}/empty
{ cat ${folder}/special ${folder}/empty | s check-ignore -z --stdin 2>/dev/null || true; } | as X
while IFS= read -r file; do
  s --literal-pathspecs ls-files --error-unmatch -- "$file" >/dev/null 2>&1 || printf '%s\\0' "$file"
done < ${folder}/large | as L`;

/** Prints pipes in places that git reads outside its own repository, and that would block it for ever. */
export const PIPES = `find . -path ./.git -prune -o -type p '(' -name .gitignore -o -name .gitattributes -o -path '*/.git/*' ')' -print`;

/** Reference to the job's last commit for as long as an update runs; an update that was broken off is undone with it. */
export const UPDATE_REF = "refs/parallel-agents/update";

/** Below it, in an environment's image, what branches and tags were at when its set-up had run: none of that is a job's. */
export const SETUP_REFS = "refs/parallel-agents/set-up";
