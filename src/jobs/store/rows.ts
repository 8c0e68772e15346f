import { z } from "zod";
import type { Connection, SqlValue } from "./driver.ts";

/** The shape of one row of a query; its output is what the caller gets. */
export type RowSchema<T> = z.ZodType<T>;

/** Reads and parses rows. @throws BrokenRow where a row does not parse */
export interface RowReader {
  get<T>(row: RowSchema<T>, sql: string, ...values: SqlValue[]): T | undefined;
  all<T>(row: RowSchema<T>, sql: string, ...values: SqlValue[]): T[];
}

export const createRowReader = (connection: Connection): RowReader => ({
  get(schema, sql, ...values) {
    const row = connection.get(sql, ...values);
    return row === undefined ? undefined : parseRow(schema, row, sql);
  },
  all: (schema, sql, ...values) => connection.all(sql, ...values).map((row) => parseRow(schema, row, sql)),
});

// Making a schema costs a thousand times as much as the reading: whoever makes one for each reading has every look at a file
// answered by a garbage collection.
const versionRow = z.object({ data_version: z.number() });

/** Changes when another connection has written to the file. */
export const dataVersion = (rows: RowReader): number | undefined =>
  rows.get(versionRow, "PRAGMA data_version")?.data_version;

/** Rows that a `remembered` schema keeps. */
const MOST_REMEMBERED = 500;

/**
 * A schema for rows that are read again and again: one that is as it was at the last reading is not parsed anew. Its key is
 * the column `id`, or `job` where there is none.
 */
export function remembered<T>(schema: RowSchema<T>): RowSchema<T> {
  const known = new Map<unknown, { readonly row: Readonly<Record<string, unknown>>; readonly parsed: T }>();
  return z.unknown().transform((found, context): T => {
    const row = found as Readonly<Record<string, unknown>>;
    const key = row.id ?? row.job;
    const before = known.get(key);
    if (before && isSameRow(before.row, row)) return before.parsed;
    const { data, error } = schema.safeParse(row);
    if (error) {
      for (const { path, message } of error.issues) context.addIssue({ code: "custom", path: [...path], message });
      return z.NEVER;
    }
    if (known.size >= MOST_REMEMBERED) known.clear();
    known.set(key, { row, parsed: data });
    return data;
  });
}

function isSameRow(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  for (const column in b) if (a[column] !== b[column]) return false;
  return true;
}

/** A row of which only its existence matters. */
export const anyRow = z.unknown();

/** A column that holds JSON. */
export const json = <T>(schema: z.ZodType<T>): z.ZodType<T, string> =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "is not JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);

/** A row that does not parse; the message names table and row. The file is sound, so other rows can be read. */
export class BrokenRow extends Error {}

/** The error that SQLite throws for a page that it cannot read: the file does not hold what was written to it. */
export const damage = (found: string): Error => Object.assign(new Error(found), { code: "SQLITE_CORRUPT" });

/** @throws BrokenRow */
export function parseRow<T>(schema: RowSchema<T>, row: unknown, sql: string): T {
  const parsed = safeParse(schema, row);
  if ("data" in parsed) return parsed.data;
  const table = /\bFROM (\w+)/.exec(sql)?.[1] ?? "?";
  const { id, job } = row as { id?: unknown; job?: unknown };
  const name = id ?? job ?? null;
  throw new BrokenRow(`row ${name === null ? "" : `"${name}" `}of ${table} cannot be read (${parsed.problem})`);
}

/** A conversion in the schema may throw, for example for a GPU that there is not. */
function safeParse<T>(schema: RowSchema<T>, row: unknown): { readonly data: T } | { readonly problem: string } {
  try {
    const parsed = schema.safeParse(row);
    if (parsed.success) return { data: parsed.data };
    const [issue] = parsed.error.issues;
    return { problem: `${issue?.path.join(".")}: ${issue?.message}` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
