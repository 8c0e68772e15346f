import { quote } from "../../sandboxes/shell-quote.ts";
import { toBytes } from "../paths.ts";
import type { FilePlan } from "./file-plan.ts";

/*
 * A plan as a shell script that runs in the work directory, with the stage's folder as its argument. A step that was done
 * before does nothing, so that a script that was cut off is run again as a whole. Each file is moved within one file
 * system, so that whoever reads it finds the one version or the other. No link is written through.
 */

/**
 * `put` takes the place of a file or a link. What is a folder by now, or lies below something that is no folder, or has the same content, stays:
 * the job has changed it in the last moment. `beside` does without a version that is the same as the one it is to lie beside.
 */
const FUNCTIONS = `s=$1/tree
here() { p=\${1%/*}; while [ "$p" != . ]; do [ -d "$p" ] && [ ! -L "$p" ] || return 1; p=\${p%/*}; done; }
there() { [ -e "$s/$1" ] || [ -L "$s/$1" ]; }
put() {
  there "$1" || return 0
  here "$2" && { [ ! -d "$2" ] || [ -L "$2" ]; } || { printf 'F%s\\0' "$1"; return 0; }
  [ ! -L "$2" ] || rm -f -- "$2"
  mv -f -- "$s/$1" "$2" 2>/dev/null || printf 'F%s\\0' "$1"
}
beside() {
  there "$1" || return 0
  if [ -f "$2" ] && [ ! -L "$2" ] && [ -f "$s/$1" ] && [ ! -L "$s/$1" ] && cmp -s "$s/$1" "$2"; then
    rm -f -- "$s/$1"; printf 'S%s\\0' "$1"; return 0
  fi
  put "$1" "$3"
}
gone() { here "$1" && { [ ! -d "$1" ] || [ -L "$1" ]; } && rm -f -- "$1"; return 0; }
empty() { here "$1" && [ ! -L "$1" ] && rmdir -- "$1" 2>/dev/null; return 0; }
folder() {
  here "$1" || return 0
  if [ ! -d "$1" ]; then mkdir -- "$1" 2>/dev/null
  elif [ ! -L "$1" ] && ! { [ -w "$1" ] && [ -x "$1" ]; }; then chmod -- u+rwx "$1" 2>/dev/null; fi
  return 0
}
mode() { [ -d "$1" ] && [ ! -L "$1" ] && here "$1" && chmod -- "$2" "$1" 2>/dev/null; return 0; }
`;

/** A folder that is made or given a mode is open to its owner until everything is in it. */
export function toPlanScript({ remove, removeFolders, folders, put, beside }: FilePlan): Buffer {
  const at = (path: string) => quote(`./${path}`);
  const lines = [
    ...remove.map((path) => `gone ${at(path)}`),
    ...removeFolders.map((path) => `empty ${at(path)}`),
    ...folders.map(({ path }) => `folder ${at(path)}`),
    ...put.map((path) => `put ${quote(path)} ${at(path)}`),
    ...beside.map(({ path, as }) => `beside ${quote(path)} ${at(path)} ${at(as)}`),
    ...folders.toReversed().map(({ path, mode }) => `mode ${at(path)} ${mode}`),
  ];
  return toBytes(`${FUNCTIONS}${lines.join("\n")}\nexit 0\n`);
}

/** What a plan's script printed: paths that could not be put in place, and those whose versions turned out to be the same. */
export function parsePlanOutput(stdout: string): { readonly failed: string[]; readonly same: string[] } {
  const records = stdout.split("\0").slice(0, -1);
  const of = (letter: string) => records.filter((one) => one.startsWith(letter)).map((one) => one.slice(1));
  return { failed: of("F"), same: of("S") };
}
