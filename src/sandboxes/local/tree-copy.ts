import { type HostRun, runHostTool } from "./host-tools.ts";

/*
 * Copies a job's directory trees with the system's own `cp`, which keeps modes, times, hard links, holes, pipes and
 * extended attributes, and shares blocks where the file system can. It names what it cannot copy and goes on with the rest.
 */

/** A path that was not copied. */
export interface NotCopied {
  /** Index of the pair of directories that the path belongs to. */
  readonly pair: number;
  /** Relative to the pair's directory, as quoted by `cp`, because it may contain any byte. */
  readonly path: string;
  readonly why: string;
}

export interface CopyResult {
  /** The first few paths. */
  readonly leftOut: readonly NotCopied[];
  readonly leftOutCount: number;
}

export const NOTHING_LEFT_OUT: CopyResult = { leftOut: [], leftOutCount: 0 };

/**
 * Variables of the script's environment: the script itself, which `find` starts anew, and what it needs. It is run by
 * `eval "$OPTIONS"` once, and `eval "$COPY"` for every pair of directories.
 */
export const COPY_ENV: Readonly<Record<string, string>> = {
  // `cp` opens each file by its whole path, and the kernel accepts no path above 4,095 bytes. So where a path exceeds
  // this length, the script starts another copy from there (a piece).
  PIECE: `/proc/self/fd/8/./${"?".repeat(3800)}*`,
  // Nesting limit of pieces, enough for paths of about a million bytes. Each piece is two processes waiting for the next.
  MAX_PIECES: "250",
  LC_ALL: "C",
  OPTIONS: "own=--no-preserve=ownership; cp --version >/dev/null 2>&1 || own=; export own", // busybox has no such option
  COPY: `
pair=$2 from=$3 to=$4 piece=$5
if [ "$1" = tree ]; then exec 3>&2; else to=/proc/self/fd/9/\${from#/proc/self/fd/8/./}; fi
[ "$piece" -le "$MAX_PIECES" ] || { echo "@deep $pair" >&3; exit 0; }
trap '[ "$opened" ] || echo "@closed $pair $piece" >&3' EXIT
exec 8< "$from" 9< "$to"
opened=yes
# The copy above has copied the beginning of this piece. It is copied again with the rest, so that its hard links hold.
[ "$1" = tree ] || find /proc/self/fd/9/. -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +
echo "@in $pair $piece" >&3
cp -a $own --reflink=auto /proc/self/fd/8/. /proc/self/fd/9/. 2>&3 && exit
code=$?
[ "$code" -eq 1 ] || echo "@broke $code" >&3
find /proc/self/fd/8/. -path "$PIECE" -prune -type d -exec /bin/sh -c '
  eval "$COPY"' copy piece "$pair" {} - "$((piece + 1))" ';' 2>/dev/null
exit 0`,
};

const MAX_NAMED = 20;
/** Failures of the whole target rather than of one file: every later file would fail too. */
const FATAL =
  /: (No space left on device|Disk quota exceeded|Read-only file system|Cannot allocate memory)( \(os error \d+\))?$/;
/** Not a failure: the job may delete files during the copy. */
const VANISHED = /: No such file or directory( \(os error \d+\))?$/;
/** Paths that are too long are copied in pieces. A line of this length names such a path, not a file with a long name. */
const TOO_LONG = /: File name too long( \(os error \d+\))?$/;
const LONG_LINE = 3_800;

/**
 * Runs a program that ends in the script above, and parses its standard error.
 * @throws Error when the copy as a whole failed
 */
export async function runCopy(argv: readonly string[], how: Omit<HostRun, "onStderr" | "input">): Promise<CopyResult> {
  const parser = createCopyParser();
  let rest = "";
  const onStderr = (text: string) => {
    const lines = (rest + text).split("\n");
    rest = (lines.pop() ?? "").slice(0, MAX_LINE_CHARS);
    for (const line of lines) parser.line(line);
  };
  const { code } = await runHostTool(argv, { ...how, onStderr });
  if (rest !== "") parser.line(rest);
  return parser.end(code);
}

const MAX_LINE_CHARS = 65_536;

/** Parses the complaints of `cp`, one line each whatever the file names, and the script's own marks. */
export function createCopyParser() {
  const leftOut: NotCopied[] = [];
  let count = 0;
  let pair = 0;
  let isWhole = true;
  let fatal: string | null = null;
  const add = (path: string, why: string) => {
    count += 1;
    if (leftOut.length < MAX_NAMED) leftOut.push({ pair, path, why });
  };
  return {
    line(text: string): void {
      const [, mark, first = "", piece] = /^@(in|deep|closed|broke) (\d+) ?(\d+)?$/.exec(text) ?? [];
      if (mark === "broke") fatal ??= `cp ended with ${first}`;
      else if (mark !== undefined) pair = Number(first);
      if (mark === "in") isWhole = piece === "0";
      if (mark === "deep") add("…", "its path is longer than a copy can follow");
      if (mark === "closed" && piece === "0") fatal ??= "its directory could not be opened";
      else if (mark === "closed") add("…", "a folder could not be opened");
      if (mark !== undefined || VANISHED.test(text)) return;
      if (TOO_LONG.test(text) && text.length > LONG_LINE) return;
      if (FATAL.test(text)) fatal ??= text;
      const [, path = "", why] = /^cp: .*?'(?:\/proc\/self\/fd\/\d\/(?:\.\/)*)?(.*)'.*?: ([^:]+)$/.exec(text) ?? [];
      if (why === undefined) add(isWhole ? "" : "…", text.slice(-200));
      else add(`${isWhole ? "" : "…/"}${path.slice(0, 300)}`, why);
    },
    end(code: number | null): CopyResult {
      if (fatal !== null) throw new Error(fatal);
      if (code !== 0) throw new Error(leftOut.at(-1)?.why ?? `the copy ended with ${code ?? "a signal"}`);
      return { leftOut, leftOutCount: count };
    },
  };
}
