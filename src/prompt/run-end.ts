import type { Measured } from "../core/measured-value.ts";
import type { ExitStatus } from "../sandboxes/port.ts";
import { inQuotes, nameList, oneLine } from "../shared/plain-text.ts";

/** Of the end of a run's output that is kept as its result. */
const RESULT_LINES = 60;
const RESULT_BYTES = 4_000;
/** Of the lines that its failure quotes. */
const LAST_LINES = 8;
const LAST_CHARACTERS = 800;
/** Of a line that did not count. */
const QUOTE = 120;

/** Lines of output from which `renderRunResult` is made: one more than it keeps, so that it sees whether there are more. */
export const LINES_FOR_RESULT = RESULT_LINES + 1;

/** "it was killed 30 s after SIGTERM, as it had not ended" */
export const describeKill = (afterMs: number): string =>
  `it was killed ${Math.round(afterMs / 100) / 10} s after SIGTERM, as it had not ended`;

/**
 * A run's result: the end of its output.
 * @param end the newest `LINES_FOR_RESULT` lines
 * @param log where the whole output is in the sandbox; null = nowhere
 */
export function renderRunResult(end: string, log: string | null): string {
  const lines = end.split("\n");
  const kept = Buffer.from(lines.slice(-RESULT_LINES).join("\n"));
  if (lines.length <= RESULT_LINES && kept.length <= RESULT_BYTES) return end;
  const last = kept.subarray(Math.max(0, kept.length - RESULT_BYTES));
  const from = last.length < kept.length ? last.indexOf("\n") + 1 : 0; // a whole line, where one fits
  const shown = new TextDecoder().decode(last.subarray(from)).replace(/^\uFFFD+/, "");
  return `[… only the end of the output${log === null ? "" : `; all of it is in ${log} in the sandbox`} …]\n${shown}`;
}

/** "exit code 3", "killed by SIGKILL". */
const describeStatus = (status: ExitStatus): string => {
  if (status.kind === "exited") return `ended with exit code ${status.code}`;
  if (status.kind === "signalled") return `was killed by ${status.signal}`;
  return `ended in a way that is not known: ${status.reason}`;
};

/**
 * Why a run failed whose command did.
 * @param end the newest lines of its output
 * @param explanation what else is known of its end; "" = nothing
 */
export function describeCommandFailure(status: ExitStatus, end: string, explanation: string): string {
  return `The command ${describeStatus(status)}.${explanation === "" ? "" : ` ${explanation}`}${lastLines(end)}`;
}

/** Why a measurement failed whose command ended well. @param end the newest lines of its output */
export function describeNoMeasurement(
  metric: string,
  measured: Exclude<Measured, { kind: "value" }>,
  end: string,
): string {
  const name = oneLine(metric, 100);
  if (measured.kind === "unread")
    return `The command printed the metric ${name} in a line whose number is not certain, so no other number of it counts: code of the job may print numbers too. The line: ${inQuotes(measured.line, QUOTE)}. The benchmark must print it once, as "METRIC ${name}=<number>" on a line of its own.`;
  const hidden = measured.kind === "none" ? measured.hidden : null;
  const why =
    hidden === null
      ? ""
      : ` It was printed behind something else on its line, such as a progress bar, which must be ended first: ${inQuotes(hidden, QUOTE)}.`;
  if (measured.kind === "none")
    return `The command ended with exit code 0, but the metric ${name} never came: the benchmark must print "METRIC ${name}=<number>" on a line of its own.${why}${lastLines(end)}`;
  const [one, other] = measured.values;
  return `The command printed the metric ${name} with different values, ${one} and ${other}, so none of them counts: code of the job may print numbers too. The benchmark must print it once, on a line of its own; numbers on the way are lines with a step, or of another name.`;
}

/** Note on a measurement. @param metrics those of its benchmark, besides the one that it is for, that have no one value */
export const unclearNote = (metrics: readonly string[]): string =>
  `Left out, as the command printed one that could not be read, or more than one value: ${nameList(metrics)}. Code of the job may print numbers too; numbers on the way are lines with a step.`;

/** Note on a command that ended with exit code 0, as `python3 train.py &` does at once. */
export const LEFT_RUNNING =
  'Processes that it had started were still running when its command had ended. A run ends with its command: what they print after it does not count, and they are killed when its sandbox ends. If they do its work, start them in the foreground, or end the command with "wait".';

/**
 * Note on a command that ended with exit code 0.
 * @param error the error of the traceback near the end of its output
 */
export const tracebackNote = (error: string, hasPipe: boolean): string =>
  `The exit code is 0, but near the end of the output is the traceback of ${inQuotes(error, QUOTE)}: the program has probably failed, and its numbers may not be final.${hasPipe ? PIPE : ""}`;

const PIPE =
  ' The exit code of a pipe is that of its last program; "set -o pipefail" before it, in bash, makes it that of the one that fails.';

function lastLines(end: string): string {
  const lines = end.split("\n").filter((line) => line.trim() !== "");
  const quoted = oneLine(lines.slice(-LAST_LINES).join(" ⏎ "), 16 * LAST_CHARACTERS).replaceAll('"', "'");
  const characters = [...quoted];
  const isCut = characters.length > LAST_CHARACTERS;
  const last = isCut ? `…${characters.slice(-LAST_CHARACTERS).join("")}` : quoted;
  return last === "" ? " It printed nothing." : ` Its last lines: "${last}"`;
}
