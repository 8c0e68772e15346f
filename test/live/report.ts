import type { Finding, LiveCheck } from "./live-check.ts";

export interface Row {
  readonly check: LiveCheck;
  readonly finding: Finding | { readonly verdict: "failed" | "not run"; readonly found: string };
  readonly tookMs: number;
}

const FOUND_WIDTH = 76;

/** The rows as a table for a terminal: check, verdict, what was found, and the files that depend on it. */
export function tableOf(rows: readonly Row[]): string {
  const left = Math.max(...rows.map(({ check }) => check.name.length), "check".length);
  const middle = Math.max(...rows.map(({ finding }) => finding.verdict.length), "verdict".length);
  const line = (name: string, verdict: string, text: string) =>
    `${name.padEnd(left)}  ${verdict.padEnd(middle)}  ${text}`.trimEnd();
  const body = rows.flatMap(({ check, finding }) => {
    const texts = [...wrapped(finding.found), ...wrapped(`used by ${check.usedBy.join(", ")}`)];
    return texts.map((text, at) => line(at === 0 ? check.name : "", at === 0 ? finding.verdict : "", text));
  });
  const rule = "-".repeat(left + middle + FOUND_WIDTH + 4);
  return [line("check", "verdict", "found"), rule, ...body, rule].join("\n");
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= FOUND_WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
