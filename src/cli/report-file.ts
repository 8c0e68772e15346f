import { closeSync, lstatSync, openSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CSV_COLUMNS } from "../report/csv.ts";
import { REPORT_KIND } from "../report/report.ts";
import { PluginError } from "../shared/error-code.ts";
import { randomId } from "../shared/ids.ts";

/**
 * Writes a report, whole or not at all, for this user alone to read; in place of an earlier report, and of nothing else.
 * @param out a file, or a folder that it is put into @returns where it is @throws PluginError `config_invalid`
 */
export function writeReport(out: string, usualName: string, text: string): string {
  const path = isFolder(out) ? join(resolve(out), usualName) : resolve(out);
  const refuse = (why: string) =>
    new PluginError("config_invalid", `Could not write the report to ${path}: ${why}`, { retryable: false });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found && !found.isFile()) throw refuse("it is no file. Name another place with --out.");
  if (found && found.size > 0 && !isReport(path))
    throw refuse("this file is no report of opencode-parallel-agents. Move it away, or name another place with --out.");
  const temporary = join(dirname(path), `.${randomId("report")}`);
  try {
    writeFileSync(temporary, text, { flag: "wx", mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw refuse((error as Error).message);
  }
  return path;
}

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

/** By its beginning, as each form of a report has it. */
function isReport(path: string): boolean {
  const start = Buffer.alloc(512);
  let file: number | null = null;
  try {
    file = openSync(path, "r");
    const text = start.subarray(0, readSync(file, start)).toString("utf8");
    return MARKS.some((mark) => text.includes(mark)) || text.replace(/^\uFEFF/, "").startsWith(CSV_COLUMNS.join(","));
  } catch {
    return false;
  } finally {
    if (file !== null) closeSync(file);
  }
}

const MARKS = [`<meta name="generator" content="${REPORT_KIND}">`, `"kind": "${REPORT_KIND}"`];
