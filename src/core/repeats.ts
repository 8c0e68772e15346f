import { createHash } from "node:crypto";
import type { Failure } from "../shared/error-code.ts";

/** A call that an agent makes again and again, with the same answer each time. */
export interface Repeats {
  readonly tool: string;
  /** Names the call and its answer. */
  readonly key: string;
  /** In a row. */
  readonly count: number;
}

/** From here on people see it. */
export const REPEATS_SHOWN = 10;
/** From here on the agent is told. */
const TOLD = 30;
/** Here the turn is stopped: it costs money, and nothing will change. */
const MOST = 60;
/** Tools that are called to see whether something has changed. */
const POLLING: readonly string[] = ["sandbox_process", "agents_wait", "agents_status"];
/** A call that takes this long waits for something. */
const WAITS_MS = 10_000;

const TOLD_TEXT =
  "\n[You have made this very call many times in a row, and its answer was the same each time. Do something else, or end with what you have: soon you will be stopped.]";

/** @param answer what the agent got, with or without our word on repeats */
export function repeatKey(tool: string, input: unknown, answer: string): string {
  const own = answer.endsWith(TOLD_TEXT) ? answer.slice(0, -TOLD_TEXT.length) : answer;
  return createHash("sha256")
    .update(JSON.stringify([tool, input, own]))
    .digest("base64");
}

/** After another call has ended. @param tookMs how long it ran; null = not known */
export function nextRepeats(
  before: Repeats | null,
  tool: string,
  key: string | null,
  tookMs: number | null,
): Repeats | null {
  if (key === null || POLLING.includes(tool) || (tookMs ?? 0) >= WAITS_MS) return null;
  return { tool, key, count: before?.key === key ? before.count + 1 : 1 };
}

/** What is added to the answer of a call. @param before what was repeated until then */
export const toldOfRepeats = (before: Repeats | null, key: string): string =>
  before?.key === key && before.count + 1 >= TOLD ? TOLD_TEXT : "";

/** The failure of a turn that goes round in a circle; null while it may still get out. */
export const repeatsFailure = (repeats: Repeats | null): Failure | null =>
  repeats === null || repeats.count < MOST
    ? null
    : {
        code: "stalled",
        message: `The job's agent called ${repeats.tool} ${repeats.count} times in a row with the same arguments and got the same answer each time. Its files are kept: send the job a message that says what to do instead.`,
        retryable: true,
      };
