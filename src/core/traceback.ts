import { readAfter } from "./metric-line.ts";

/** Newest lines of an output to look at: deep models and Rich have tracebacks of hundreds. */
export const LINES_TO_SEARCH = 500;
/** Lines that may follow: what CUDA and launchers add to an error. */
const MOST_BEHIND = 20;
/** Launchers of several processes say whose line it is: torchrun, Ray, and srun. */
const PROCESS = /^(?:(?:\[(?:default|rank)?\d+\]:\s?)+|\((?:\S+ )?pid=\d+(?:, ip=[\d.]+)?\) | *\d+: )/;
/** Of one exception, of a group of them with its margin, and Rich's. */
const HEADER =
  /^(?: +[|+] )?(?:Exception Group )?Traceback \(most recent call last\):$|^[╭┌+][─-]+ Traceback \(most recent call last\) [─-]+[╮┐+]$/;
/** What stands between a header and its error: places in the code, or the frame that Rich draws around them. */
const PLACE = /^[\s│╰└|+]|^$/;
const EXCEPTION = /^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?::\s|$)/;
const ERROR = String.raw`(?:Traceback \(most recent call last\):\n(?:[ \t].*\n)*)?.*(?:\n|$)`;
/**
 * Errors that end nothing, with all that Python prints of each: in a finalizer, and of a message that could not be
 * logged. Finalizers run after the error that ends the program, so theirs is often the last.
 */
const HARMLESS = new RegExp(
  String.raw`^(?:Exception ignored\b|--- Logging error ---).*\n${ERROR}` +
    String.raw`(?:\n(?:During handling of the above|The above exception was).*\n\n${ERROR})*` +
    String.raw`(?:Call stack:\n(?:[ \t].*\n)*)?(?:Message: .*\nArguments: .*(?:\n|$))?`,
  "gm",
);

/** What repeats numbers when a program ends, also by an error: progress bars, drawn a last time, and summaries of W&B and Comet. */
const LAST_WORDS = /\d%\s*\||\[(?:\d+:)?\d\d:\d\d[<,]|\d ?it\/s\b|^(?:wandb|COMET INFO):/;

/**
 * The error with which a Python program has probably ended, whatever the exit code of its command.
 * @param end the newest lines of its output
 * @param texts those that a metric's number follows
 * @returns null where there is none near the end, or the program went on and printed numbers
 */
export function findTraceback(end: string, texts: readonly string[]): string | null {
  const lines = end
    .split("\n")
    .map((line) => line.replace(PROCESS, "").trimEnd())
    .join("\n")
    .replace(HARMLESS, "")
    .trimEnd()
    .split("\n");
  const header = lines.findLastIndex((line) => HEADER.test(line));
  if (header < 0) return null;
  const hasMargin = lines[header]?.startsWith(" ");
  const behind = lines.slice(header + 1).map((line) => (hasMargin ? line.replace(/^ +\| /, "") : line));
  const at = behind.findIndex((line) => !PLACE.test(line));
  const error = behind[at];
  if (error === undefined || !EXCEPTION.test(error)) return null;
  const rest = behind.slice(at + 1);
  /** A line that came before is repeated, as by `grep loss log`. */
  const before = new Set(lines.slice(0, header));
  const hasNumber = (line: string) =>
    /^\s*METRIC\s/.test(line) ||
    (!LAST_WORDS.test(line) && !before.has(line) && texts.some((text) => readAfter({ text }, line) !== null));
  return rest.length > MOST_BEHIND || rest.some(hasNumber) ? null : error;
}

/** Whether the exit code of a command says nothing of a program in it that fails: it stands before a pipe. */
export function hidesFailures(command: string): boolean {
  const plain = command.replace(/'[^']*'|"(?:[^"\\]|\\.)*"|\\./gs, " ");
  return /[^|>]\|(?!\|)/.test(plain) && !/\bpipefail\b/.test(command);
}
