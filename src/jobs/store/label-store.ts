import { z } from "zod";
import type { Label } from "../core/snapshot-record.ts";
import type { Database } from "./database.ts";
import type { RowReader, RowSchema } from "./rows.ts";

/**
 * Names that jobs have given to snapshots of theirs, within their session; upper and lower case are one name. A label
 * belongs to the job that gave it first, also when what it named is gone: nobody forks another job's files by a name
 * that he knows.
 */
export interface LabelStore {
  /** Gives the label to a snapshot of the job, or says whose it is. One transaction, over all processes. */
  giveLabel(orchestrator: string, label: Label): { readonly owner: string };
  labelled(orchestrator: string, label: string): Label | null;
  /** With their session, which is deleted. */
  deleteLabels(orchestrator: string): void;
}

/** Labels of former versions, which anybody could take over: the first job has each, and its newest snapshot bears it. */
export const LABEL_MIGRATION = `CREATE TABLE labels (orchestrator TEXT NOT NULL, label TEXT NOT NULL COLLATE NOCASE,
     job TEXT NOT NULL, snapshot TEXT NOT NULL, PRIMARY KEY (orchestrator, label));
   INSERT OR IGNORE INTO labels SELECT orchestrator, json_extract(record, '$.label'), json_extract(record, '$.jobID'), id
     FROM snapshots WHERE json_extract(record, '$.label') IS NOT NULL ORDER BY created_at, rowid;
   UPDATE labels SET snapshot = (SELECT id FROM snapshots WHERE snapshots.orchestrator = labels.orchestrator
     AND json_extract(record, '$.label') = labels.label AND json_extract(record, '$.jobID') = labels.job
     ORDER BY created_at DESC, rowid DESC LIMIT 1)`;

const labelRow: RowSchema<Label> = z.object({ label: z.string(), jobID: z.string(), snapshotID: z.string() });

export function checkLabelRows(rows: RowReader): void {
  rows.all(labelRow, "SELECT label, job AS jobID, snapshot AS snapshotID FROM labels");
}

export function createLabelStore(database: Database): LabelStore {
  const labelled = (orchestrator: string, label: string): Label | null =>
    database.get(
      labelRow,
      "SELECT label, job AS jobID, snapshot AS snapshotID FROM labels WHERE orchestrator = ? AND label = ?",
      orchestrator,
      label,
    ) ?? null;
  return {
    labelled,
    giveLabel: (orchestrator, { label, jobID, snapshotID }) =>
      database.transaction(() => {
        const owner = labelled(orchestrator, label)?.jobID ?? jobID;
        if (owner === jobID)
          database.run(
            "INSERT OR REPLACE INTO labels (orchestrator, label, job, snapshot) VALUES (?, ?, ?, ?)",
            orchestrator,
            label,
            jobID,
            snapshotID,
          );
        return { owner };
      }),
    deleteLabels: (orchestrator) => database.run("DELETE FROM labels WHERE orchestrator = ?", orchestrator),
  };
}
