/** Lines that may follow: what CUDA and launchers add to an error. */
const MOST_BEHIND = 20;
const HEADER = "Traceback (most recent call last):";
/** Launchers of several processes say whose line it is. */
const RANK = /^(?:\[(?:default|rank)?\d+\]:\s?)+/;
const EXCEPTION = /^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?::\s|$)/;
/** Before tracebacks of errors that end nothing. */
const HARMLESS = /^(?:Exception ignored in|--- Logging error ---)/;

/**
 * The error with which a Python program has probably ended, whatever the exit code of its command.
 * @param end the newest lines of its output
 * @returns null where there is none near the end, or the program went on and printed numbers
 */
export function findTraceback(end: string): string | null {
  const lines = end
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(RANK, "").trimEnd());
  const header = lines.lastIndexOf(HEADER);
  if (header < 0 || HARMLESS.test(lines[header - 1] ?? "")) return null;
  const behind = lines.slice(header + 1);
  const at = behind.findIndex((line) => line !== "" && !/^\s/.test(line));
  const error = behind[at];
  if (error === undefined || !EXCEPTION.test(error)) return null;
  const rest = behind.slice(at + 1);
  return rest.length > MOST_BEHIND || rest.some((line) => /^\s*METRIC\s/.test(line)) ? null : error;
}

/** Whether the exit code of a command says nothing of a program in it that fails: it stands before a pipe. */
export function hidesFailures(command: string): boolean {
  const plain = command.replace(/'[^']*'|"(?:[^"\\]|\\.)*"|\\./gs, " ");
  return /[^|>]\|(?!\|)/.test(plain) && !/\bpipefail\b/.test(command);
}
