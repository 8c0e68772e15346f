import { toFact } from "./quoted-text.ts";

/** What a failed job is compared by, and shown with. */
export interface FailedRun {
  readonly id: string;
  readonly code: string;
  readonly message: string;
  readonly exitCode: number | null;
}

/** Bytes of the ids of runs that failed alike, and of what the first of them had to say. */
const IDS = 1_500;
const MESSAGE = 500;
const CAUSES = 6;

/** A line for each cause, the most frequent first: what failed, how often, what the first of them said, and which they are. */
export function renderFailures(failed: readonly FailedRun[], bytes: number): string[] {
  const causes = new Map<string, FailedRun[]>();
  for (const one of failed) {
    const cause = causeOf(one);
    const alike = causes.get(cause);
    if (alike) alike.push(one);
    else causes.set(cause, [one]);
  }
  const ranked = [...causes.values()].sort((a, b) => b.length - a.length);
  const shown = ranked.slice(0, CAUSES);
  const each = Math.floor(bytes / Math.max(1, shown.length));
  const others = ranked.slice(CAUSES).flat();
  return [
    ...shown.map((alike) => renderCause(alike, each)),
    ...(others.length > 0
      ? [`${others.length} failed in other ways (${countCodes(others)}): ${joinIDs(others, IDS)}.`]
      : []),
  ];
}

function renderCause(alike: readonly FailedRun[], bytes: number): string {
  const [first] = alike as [FailedRun];
  const message = toFact(first.message, Math.max(100, Math.min(MESSAGE, Math.floor(bytes / 2))));
  const ids = joinIDs(alike, Math.max(60, Math.min(IDS, bytes - message.length - 60)));
  const how = alike.length === 1 ? "1 failed" : `${alike.length} failed alike`;
  return `${how}, ${first.code}: ${message}${/[.!"?]$/.test(message) ? "" : "."} ${alike.length === 1 ? "It is" : "They are"} ${ids}.`;
}

/** "command_failed 9, timed_out" */
function countCodes(failed: readonly FailedRun[]): string {
  const codes = [...new Set(failed.map(({ code }) => code))];
  return codes
    .map((code) => {
      const { length } = failed.filter((one) => one.code === code);
      return length === 1 ? code : `${code} ${length}`;
    })
    .join(", ");
}

/**
 * What failures have in common: the code, and the last line of what was said, where a program names its error. Numbers,
 * addresses and the ids of what was kept of a run differ from run to run.
 */
function causeOf({ code, exitCode, message }: FailedRun): string {
  const lines = message.slice(-ENDING).split(/⏎|\n/);
  const last = lines.findLast((line) => /\p{L}/u.test(line)) ?? "";
  return JSON.stringify([code, exitCode, last.replace(VARYING, "#").trim()]);
}

const VARYING = /\b(?:job|snap)_[a-z\d]{12}\b|\b(?:sb|im)-[a-z\d]+|0x[\da-f]+|[\d.]+/gi;

/** Characters at the end of a message that tell causes apart. */
const ENDING = 200;

/** Ids as far as there is room. */
export function joinIDs(jobs: readonly { readonly id: string }[], bytes: number): string {
  let used = 0;
  const shown = jobs.filter(({ id }) => {
    used += id.length + 2;
    return used <= bytes;
  });
  const left = jobs.length - shown.length;
  if (shown.length === 0) return `${left} runs`;
  return `${shown.map(({ id }) => id).join(", ")}${left > 0 ? ` and ${left} others` : ""}`;
}
