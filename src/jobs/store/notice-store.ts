import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { isEnded, type Job } from "../../core/job.ts";
import type { Delivery, Notice } from "../../core/notice.ts";
import type { Database } from "./database.ts";
import { jobRecord } from "./job-record.ts";
import { json, type RowReader, type RowSchema } from "./rows.ts";

/** The notices of a session, of whose ends its orchestrator was not told for certain yet. */
export interface NoticeStore {
  /** To be called in the transaction that writes the job's end. */
  add(job: Notice["job"]): void;
  /** Oldest first. */
  all(): Notice[];
  /**
   * Records how these notices are delivered.
   * @returns the changed notices, without those whose delivery another process has changed meanwhile
   */
  saveDelivery(notices: readonly Notice[], delivery: Delivery | null): Notice[];
  delete(ids: readonly number[]): void;
}

const delivery: z.ZodType<Delivery> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("message"), messageID: z.string(), at: z.number(), tries: z.number() }),
  z.object({ kind: z.literal("attached"), messageID: z.string(), at: z.number() }),
  z.object({
    kind: z.literal("call"),
    messageID: z.string(),
    callID: z.string(),
    at: z.number(),
    sessionID: z.string().optional(),
  }),
]);

const endedJob = jobRecord.refine((job): job is Notice["job"] => isEnded(job.state), "is not ended");

const jobColumn = z.object({ id: z.number(), job: json(endedJob as z.ZodType<Notice["job"]>) });
const deliveryColumn: RowSchema<Omit<Notice, "job">> = z.object({
  id: z.number(),
  delivery: json(delivery).nullable(),
});
const idColumn = z.object({ id: z.number() });

const toText = (delivery: Delivery | null): string | null => (delivery ? JSON.stringify(delivery) : null);

export function checkNoticeRows(rows: RowReader): void {
  rows.all(jobColumn, "SELECT id, job FROM outbox");
  rows.all(deliveryColumn, "SELECT id, delivery FROM outbox");
}

export function createNoticeStore(database: Database): NoticeStore {
  /** A notice's job never changes, and is long: each is read once, because hundreds may wait for the other runs of their call. */
  let jobs = new Map<number, Notice["job"]>();
  let file = database.generation();

  function known(): Map<number, Notice["job"]> {
    if (file !== database.generation()) jobs = new Map(); // ids begin anew
    file = database.generation();
    return jobs;
  }

  const read = (id: number): Notice["job"] | undefined =>
    database.get(jobColumn, "SELECT id, job FROM outbox WHERE id = ?", id)?.job;

  return {
    add(job) {
      database.run("INSERT INTO outbox (job) VALUES (?)", JSON.stringify(job));
      const id = database.get(idColumn, "SELECT last_insert_rowid() AS id")?.id;
      if (id !== undefined) known().set(id, job);
    },
    all() {
      const rows = database.all(deliveryColumn, "SELECT id, delivery FROM outbox ORDER BY id");
      const before = known();
      const notices = rows.flatMap(({ id, delivery }): Notice[] => {
        const job = before.get(id) ?? read(id);
        return job ? [{ id, job, delivery }] : [];
      });
      jobs = new Map(notices.map(({ id, job }) => [id, job]));
      return notices;
    },
    saveDelivery: (notices, delivery) =>
      database.transaction(() =>
        notices.flatMap((notice) => {
          const row = database.get(deliveryColumn, "SELECT id, delivery FROM outbox WHERE id = ?", notice.id);
          if (!row || !isDeepStrictEqual(row.delivery, notice.delivery)) return [];
          database.run("UPDATE outbox SET delivery = ? WHERE id = ?", toText(delivery), notice.id);
          return [{ ...notice, delivery }];
        }),
      ),
    delete(ids) {
      if (ids.length === 0) return;
      database.transaction(() => {
        for (const id of ids) database.run("DELETE FROM outbox WHERE id = ?", id);
      });
    },
  };
}

/** Whether the job's end is told to somebody. */
export const hasEnded = (job: Job): job is Notice["job"] => isEnded(job.state);
