import { oneLine, plainText } from "../../shared/plain-text.ts";
import type { Diagnosis, Finding, Level } from "./finding.ts";

const MARKS: Readonly<Record<Level, string>> = { fault: "✗", warning: "!", ok: "✓" };
const INDENT = "    ";

/** For a person: faults and warnings with what to do, then the rest in one line each. */
export function renderDiagnosis({ findings }: Diagnosis): string {
  const counted = (level: Level, one: string, many: string) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];
  };
  const wrong = [...counted("fault", "fault", "faults"), ...counted("warning", "warning", "warnings")];
  const total = wrong.length === 0 ? "Nothing is wrong." : `${wrong.join(" and ")}.`;
  return [...findings.map(renderFinding), "", total].join("\n");
}

function renderFinding({ name, level, meaning, remedy }: Finding): string {
  if (level === "ok") return `${MARKS.ok} ${name}: ${oneLine(meaning, 100_000)}`;
  const [first = "", ...rest] = plainText(meaning).split("\n");
  const lines = [`${MARKS[level]} ${level}, ${name}: ${first}`, ...rest.map((line) => INDENT + line)];
  return [...lines, ...(remedy === undefined ? [] : [`${INDENT}→ ${oneLine(remedy, 2_000)}`])].join("\n");
}
