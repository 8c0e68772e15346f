import { z } from "zod";
import type { Label } from "../../core/snapshot-record.ts";
import type { Database } from "./database.ts";
import type { RowReader, RowSchema } from "./rows.ts";

/**
 * Names that the jobs of a session have given to their snapshots; case does not matter. A label belongs to the job that
 * gave it first, even after its snapshot is gone: whoever starts from a known name never gets another job's files.
 */
export interface LabelStore {
  /** Gives the label to a snapshot of the job, unless it belongs to another job. @returns the job it belongs to */
  giveLabel(orchestrator: string, label: Label): { readonly owner: string };
  labelled(orchestrator: string, label: string): Label | null;
  /** Deletes all labels of a deleted session. */
  deleteLabels(orchestrator: string): void;
}

/** Before, any job could take over a label: each now belongs to its first job, and names that job's newest snapshot. */
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
