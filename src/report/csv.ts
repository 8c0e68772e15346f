import { missingText } from "../core/experiments/missing.ts";
import { oneLine } from "../shared/plain-text.ts";
import { type Report, rowsOf } from "./report.ts";

/** The first columns, also of tables of earlier versions: by them a file is known to be one of ours. */
export const CSV_COLUMNS = [
  ...["id", "description", "metric", "mean", "deviation", "n", "source", "verdict", "parent", "usd", "gpu_seconds"],
] as const;
/** Without them the rows of jobs that failed or were stopped look like final ones, and are the best where they are sorted. */
const STANDING_COLUMNS = ["rank", "standing", "missing"] as const;

export interface Csv {
  readonly text: string;
  /** Cells that were given an apostrophe, so that a spreadsheet takes them for text and not for a formula. */
  readonly neutralised: number;
}

/**
 * Experiments as a table, a row for each metric of one.
 * @source RFC 4180: lines end with CR LF, and a field with a comma, a quote or a line break stands in quotes, doubled in it
 * @source OWASP, "CSV Injection": which first characters make a formula
 */
export function toCsv(report: Pick<Report, "leaderboards">): Csv {
  const rows = rowsOf(report);
  const params = [...new Set(rows.flatMap(({ entry }) => Object.keys(entry.params ?? {})))].sort();
  let neutralised = 0;
  const text = (value: string | undefined): string => {
    const line = oneLine(value ?? "", 2_000);
    const safe = asText(line);
    if (safe !== line) neutralised++;
    return safe;
  };
  const paramOf = (values: Readonly<Record<string, string | number>> | undefined, name: string): string => {
    if (!values || !Object.hasOwn(values, name)) return "";
    const value = values[name];
    return typeof value === "number" ? String(value) : text(value);
  };
  const lines = rows.map(({ metric, entry }) => [
    text(entry.id),
    text(entry.label || entry.description),
    text(metric),
    String(entry.mean),
    entry.deviation === undefined ? "" : String(entry.deviation),
    String(entry.n),
    entry.source,
    entry.verdict ?? "",
    text(entry.parent),
    String(entry.usd),
    String(entry.gpuSeconds),
    entry.rank === undefined ? "" : String(entry.rank),
    entry.standing,
    missingText(entry.missing),
    ...params.map((name) => paramOf(entry.params, name)),
  ]);
  const header = [...CSV_COLUMNS, ...STANDING_COLUMNS, ...params.map((name) => asText(`param.${oneLine(name, 200)}`))];
  return { text: [header, ...lines].map((cells) => `${cells.map(toField).join(",")}\r\n`).join(""), neutralised };
}

/** What makes a spreadsheet take a cell for a formula, in full width too, and behind quotes where it reads these otherwise. */
const FORMULA = /^[\s"]*[=+\-@\t\r|%＝＋－＠]/u;
/** Where a comma separates decimals, spreadsheets begin a new cell at each semicolon, in quotes or not. */
const FORMULA_IN_LINE = /;(?=[\s"']*[=+\-@|%＝＋－＠])/gu;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A cell that is no formula, however the table is opened. */
function asText(line: string): string {
  const inside = line.replace(FORMULA_IN_LINE, ";'");
  return FORMULA.test(inside) && !NUMBER.test(inside) ? `'${inside}` : inside;
}

const toField = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
