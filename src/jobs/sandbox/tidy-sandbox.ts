import { RUN_VARIABLE } from "../../core/run-variable.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { runScript } from "../../workspace/sandbox/run-script.ts";

/*
 * What a run leaves in a sandbox that another run gets after it. Everything that may change what the next one does is taken
 * away: processes, files in /tmp and /dev/shm, and new files in the work directory, whether git ignores them or not: a
 * checkpoint that the next run goes on from is one that git ignores. Where that cannot be done, or cannot be known, the
 * sandbox is not given on. Only what Python compiles stays, since it checks that against the sources. The runs are one user's, by his own wish, so what
 * is recorded of the beginning lies in the sandbox.
 */

const FOLDER = "/tmp/.parallel-agents-reuse";
const LIMIT_MS = 60_000;
const MAX_NEW_FILES = 2_000;
/** Of the names that one command line can take. */
const MAX_NAMES_BYTES = 100_000;

/** Lists the files and folders there are, and sets the mark that later changes are newer than. */
const RECORD = `
files() { find . -path ./.git -prune -o ! -type d "$@" -print | sort; }
folders() { find . -path ./.git -prune -o -type d -print | sort; }
record() {
  files > "$d/before" && folders > "$d/folders" || return 1
  : > "$d/mark"
}`;

const STAT = `
stat_of() { line=; read -r line < "/proc/$1/stat" 2>/dev/null || return 1; set -- \${line##*) }; state=$1 parent=$2; shift 19; began=$1; }`;

const BEGIN = `
LC_ALL=C; export LC_ALL; umask 077
d=${FOLDER}; rm -rf -- "$d"; mkdir -- "$d" && cd -- "$1" || exit 1
ls -A /tmp > "$d/tmp" || exit 1${STAT}${RECORD}
for each in /proc/[0-9]*; do stat_of "\${each#/proc/}" && echo "\${each#/proc/} $began"; done > "$d/processes"
record`;

/**
 * Kills what the run has left running, by the variable that all processes of runs have. Processes that were there before
 * are its provider's. Of any other it cannot be known whose it is.
 */
const END_PROCESSES = `${STAT}
own=" " at=$$
while [ "$at" -gt 0 ] && stat_of "$at"; do own="$own$at " at=$parent; done
known=,
while IFS= read -r line; do known="$known$line,"; done < "$d/processes"
is_of_run() { tr '\\0' '\\n' < "/proc/$1/environ" 2>/dev/null | grep -q '^${RUN_VARIABLE}='; }
for round in 1 2 3 4 5 6; do
  left= unknown=
  for each in /proc/[0-9]*; do
    pid=\${each#/proc/}
    case $own in *" $pid "*) continue ;; esac
    stat_of "$pid" || continue
    [ "$parent" != "$$" ] && [ "$state" != Z ] || continue
    case $known in *",$pid $began,"*) continue ;; esac
    if is_of_run "$pid"; then left=1; kill -s KILL "$pid" 2>/dev/null; elif stat_of "$pid"; then unknown=1; fi
  done
  [ -n "$left$unknown" ] || break
  sleep 0.05 2>/dev/null || sleep 1
done
[ -z "$left$unknown" ] || exit 5`;

/**
 * Whether nothing that counts has changed since the mark, which most runs leave as it was: whoever makes, changes or removes
 * something changes its time or its folder's. A search that fails says no.
 */
const UNTOUCHED = `
untouched() {
  for name in /dev/shm/* /dev/shm/.[!.]*; do [ ! -e "$name" ] || return 1; done
  touched=$(find . ! \\( \\( -path ./.git -o -path './.git/*' \\) \\( -type d -o -name index \\) \\) -cnewer "$d/mark" -print &&
    find /tmp -prune -cnewer "$d/mark" -print) && [ -z "$touched" ]
}`;

const EMPTY = `
empty() {
  folders > "$d/now" || return 1
  comm -13 "$d/folders" "$d/now" | sort -r | while IFS= read -r name; do rmdir -- "$name" 2>/dev/null; done
  ls -A /tmp > "$d/tmp-now" || return 1
  comm -13 "$d/tmp" "$d/tmp-now" | while IFS= read -r name; do rm -rf -- "/tmp/$name" || exit 1; done || return 1
  for name in /dev/shm/* /dev/shm/.[!.]*; do [ ! -e "$name" ] || rm -rf -- "$name" || return 1; done
}`;

/** Exit codes: 3 = it cannot be told, 4 = files were changed or removed, 5 = processes do not end. */
const LOOK = `
exec 2>/dev/null
LC_ALL=C; export LC_ALL
d=${FOLDER}; cd -- "$1" && [ -f "$d/mark" ] || exit 3
for tool in find sort comm head wc grep tr; do command -v "$tool" >/dev/null 2>&1 || exit 3; done
${END_PROCESSES}${UNTOUCHED}${RECORD}${EMPTY}
if untouched; then echo clean; exit 0; fi
if [ -e .git ]; then
  changed=$(find .git ! -type d ! -name index -cnewer "$d/mark" -print) || exit 3
  [ -z "$changed" ] || exit 4
fi
others() { grep -vE '(^|/)__pycache__/' "$1"; }
folders > "$d/now" || exit 3
[ -z "$(comm -23 "$d/folders" "$d/now")" ] || exit 4
files > "$d/now" || exit 3
[ -z "$(comm -23 "$d/before" "$d/now")" ] || exit 4
comm -13 "$d/before" "$d/now" > "$d/new"
[ "$(wc -l < "$d/new")" -le ${MAX_NEW_FILES} ] || exit 4
while IFS= read -r name; do [ -e "$name" ] || [ -L "$name" ] || exit 4; done < "$d/new"
files -cnewer "$d/mark" > "$d/changed" || exit 3
comm -23 "$d/changed" "$d/new" > "$d/touched"
[ -z "$(others "$d/touched")" ] || exit 4
others "$d/new" > "$d/made"
if [ ! -s "$d/made" ]; then empty && record || exit 3; echo clean; exit 0; fi
echo left
while IFS= read -r name; do printf '%s\\0' "$name"; done < "$d/made"`;

const REMOVE = `
LC_ALL=C; export LC_ALL
d=${FOLDER}; cd -- "$1" || exit 3; shift${RECORD}${EMPTY}
for name; do rm -f -- "$name" || exit 1; done
empty && record`;

/** Records what a run finds in its new sandbox. @returns whether that worked: without it the sandbox is not given on */
export async function recordBeginning(sandbox: Sandbox, clock: Clock): Promise<boolean> {
  const { code } = await runScript(sandbox, BEGIN, [sandbox.workdir], { clock, limitMs: LIMIT_MS, oneStream: true });
  return code === 0;
}

/** What a run has left that the next one must not find. */
export type Leftovers =
  /** Nothing any more. */
  | { readonly kind: "none" }
  /** These new files in the work directory, which are the run's work. */
  | { readonly kind: "files"; readonly names: readonly string[] }
  /** Something that cannot be taken away. */
  | { readonly kind: "changes"; readonly why: string };

/** Ends a run's processes and looks at what it left. /tmp is emptied where nothing else is to be done. */
export async function lookAtLeftovers(sandbox: Sandbox, clock: Clock): Promise<Leftovers> {
  const { code, stdout } = await runScript(sandbox, LOOK, [sandbox.workdir], {
    clock,
    limitMs: LIMIT_MS,
    oneStream: true,
  });
  if (code !== 0) return { kind: "changes", why: WHY[code] ?? `looking at its files ended with ${code}` };
  const [first = "", ...rest] = stdout.split(/\n(.*)/s);
  if (first === "clean") return { kind: "none" };
  const names = rest
    .join("")
    .split("\0")
    .filter((name) => name !== "");
  if (names.join("").length > MAX_NAMES_BYTES) return { kind: "changes", why: "it made too many files" };
  return { kind: "files", names };
}

const WHY: Readonly<Record<number, string>> = {
  3: "what it changed cannot be told in its image",
  4: "it changed or removed files that it had found",
  5: "its processes do not end, or it cannot be told whose they are",
};

/** Removes files of the work directory, and all that is new in /tmp. @throws Error */
export async function removeLeftovers(sandbox: Sandbox, names: readonly string[], clock: Clock): Promise<void> {
  const { code, stderr } = await runScript(sandbox, REMOVE, [sandbox.workdir, ...names.map(toArgument)], {
    clock,
    limitMs: LIMIT_MS,
  });
  if (code !== 0) throw new Error(`its files could not be removed: ${stderr.trim().slice(-300)}`);
}

/** Output has one character per byte. */
const toArgument = (name: string): string => Buffer.from(name, "latin1").toString();
