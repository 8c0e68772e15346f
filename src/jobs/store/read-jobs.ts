import { z } from "zod";
import type { Job } from "../../core/job.ts";
import { jobRecord } from "./job-record.ts";
import { anyRow, json, parseRow, type RowReader } from "./rows.ts";
import { toReason } from "./unusable.ts";

/** The jobs of a session's file, also where some records of it cannot be read. */
export interface JobReading {
  readonly jobs: readonly Job[];
  /** Which records cannot be read, and why. */
  readonly broken: readonly string[];
}

interface Known {
  readonly record: unknown;
  readonly position: unknown;
  readonly job: Job | null;
  readonly why: string;
}

/** In the order of the file: for SQLite to sort whole records takes most of the time where there are thousands. */
const SELECT = "SELECT id, position, record FROM jobs";
const jobRow = z.object({ id: z.string(), record: json(jobRecord) });

/** Reads a session's jobs again and again: a record is parsed anew only when it has changed. */
export function createJobReader(): (rows: RowReader) => JobReading {
  let known = new Map<unknown, Known>();
  let last: JobReading = { jobs: [], broken: [] };
  return (rows) => {
    let isSame = true;
    const next: typeof known = new Map();
    for (const row of rows.all(anyRow, SELECT) as { id: unknown; position: unknown; record: unknown }[]) {
      const before = known.get(row.id);
      const isKnown = before?.record === row.record;
      isSame &&= isKnown;
      const { record, position } = row;
      next.set(row.id, before && isKnown ? before : { record, position, ...parse(row) });
    }
    if (isSame && next.size === known.size) return last;
    known = next;
    const all = [...next.values()].sort((a, b) => Number(a.position) - Number(b.position));
    last = {
      jobs: all.flatMap(({ job }) => (job === null ? [] : [job])),
      broken: all.flatMap(({ job, why }) => (job === null ? [why] : [])),
    };
    return last;
  };
}

function parse(row: unknown): { readonly job: Job | null; readonly why: string } {
  try {
    return { job: parseRow(jobRow, row, SELECT).record, why: "" };
  } catch (error) {
    return { job: null, why: toReason(error) };
  }
}
