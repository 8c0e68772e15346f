import { z } from "zod";
import type { Job } from "../../core/job.ts";
import { jobRecord } from "./job-record.ts";
import { json, parseRow, type RowReader } from "./rows.ts";
import { toReason } from "./unusable.ts";

/** The jobs of a session's file, also where some records of it cannot be read. */
export interface JobReading {
  readonly jobs: readonly Job[];
  /** Which records cannot be read, and why. */
  readonly broken: readonly string[];
}

const SELECT = "SELECT id, record FROM jobs ORDER BY position";
const textRow = z.object({ id: z.string(), record: z.string() });
const jobRow = z.object({ id: z.string(), record: json(jobRecord) });

/** Reads a session's jobs again and again: a record is parsed anew only when it has changed. */
export function createJobReader(): (rows: RowReader) => JobReading {
  let known = new Map<string, { readonly record: string; readonly job: Job | null; readonly why: string }>();
  let last: JobReading = { jobs: [], broken: [] };
  return (rows) => {
    let isSame = true;
    const next: typeof known = new Map();
    for (const { id, record } of rows.all(textRow, SELECT)) {
      const before = known.get(id);
      const isKnown = before?.record === record;
      isSame &&= isKnown;
      next.set(id, isKnown ? before : { record, ...parse(id, record) });
    }
    if (isSame && next.size === known.size) return last;
    known = next;
    const all = [...next.values()];
    last = {
      jobs: all.flatMap(({ job }) => (job === null ? [] : [job])),
      broken: all.flatMap(({ job, why }) => (job === null ? [why] : [])),
    };
    return last;
  };
}

function parse(id: string, record: string): { readonly job: Job | null; readonly why: string } {
  try {
    return { job: parseRow(jobRow, { id, record }, SELECT).record, why: "" };
  } catch (error) {
    return { job: null, why: toReason(error) };
  }
}
