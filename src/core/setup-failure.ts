import type { ExitStatus } from "../sandboxes/command.ts";
import { oneLine, plainText } from "../shared/plain-text.ts";

/** Of the output of a command that failed. */
export const QUOTED_LINES = 40;
const LINE_LENGTH = 240;
/** A job's error has room for 4,000 characters. */
const QUOTED_LENGTH = 3_200;
const COMMAND_LENGTH = 120;
/** Shorter values are words such as "1" or "prod", of which hiding would leave no output readable. */
const SHORTEST_HIDDEN = 4;
/** Of a value of several lines. Shorter ones are brackets and words. */
const SHORTEST_LINE = 8;

export interface SetupCommand {
  readonly environment: string;
  /** From 1 on. */
  readonly step: number;
  readonly of: number;
  readonly command: string;
}

/** How a command of a set-up ended. `late`: it was killed, as the build may take no longer. */
export type SetupEnd = ExitStatus | { readonly kind: "late"; readonly limitMinutes: number };

/**
 * Why an environment could not be set up, with the end of the command's output.
 * @param tail the newest lines of its output
 * @param hidden values of variables, which are not written down
 * @param notes on its sandbox, such as that it has no network, one sentence each
 */
export function describeSetupFailure(
  at: SetupCommand,
  end: SetupEnd,
  tail: string,
  hidden: readonly string[],
  notes: readonly string[],
): string {
  const { environment, step, of } = at;
  const command = oneLine(hideValues(at.command, hidden), COMMAND_LENGTH);
  const lines = plainText(hideValues(tail, hidden))
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-QUOTED_LINES)
    .map((line) => oneLine(line, LINE_LENGTH));
  while (lines.length > 1 && lines.join("\n").length > QUOTED_LENGTH) lines.shift();
  const quoted = lines.length === 0 ? "It printed nothing." : `Its last lines:\n${lines.join("\n")}`;
  const about = notes.length === 0 ? "" : `Of its sandbox: ${notes.map((note) => oneLine(note)).join(" ")} `;
  const name = oneLine(environment, 64);
  return `Could not set up environment ${name}: command ${step} of ${of}, \`${command}\`, ${describeEnd(end)}. To repair it, change \`setup\` of environments.${name} in the options; the next job runs it again. ${about}${quoted}`;
}

function describeEnd(end: SetupEnd): string {
  switch (end.kind) {
    case "exited":
      return `ended with exit code ${end.code}`;
    case "signalled":
      return `was killed by ${end.signal}`;
    case "unknown":
      return `ended in a way that is not known: ${end.reason}`;
    case "late":
      return `was stopped, because the whole set-up may take ${end.limitMinutes} minutes (modal.buildTimeoutMinutes); a server that never ends is for the jobs to start`;
  }
}

/** Text without these values, and without the lines of which longer ones consist: of a key, a text may have only a part. */
export function hideValues(text: string, values: readonly string[]): string {
  const lines = values.flatMap((value) => value.split(/\r?\n/)).filter((line) => line.trim().length >= SHORTEST_LINE);
  const whole = values.filter((value) => value.length >= SHORTEST_HIDDEN);
  const hidden = [...new Set([...whole, ...lines])].sort((a, b) => b.length - a.length);
  return hidden.reduce((all, value) => all.replaceAll(value, "[hidden]"), text);
}
