import type { TaskSource } from "./task-source.ts";

/* Notes on what a job starts from. Models and users read them. */

/** @param missing what the snapshot does not contain, as one sentence */
export const incompleteSnapshotNote = (missing: string): string =>
  `The snapshot that it starts from is not complete: ${missing}`;

/** For a job that starts from the files of a running job or sandbox. @param isLate they were frozen when the job started */
export function frozenSourceNote({ kind, id }: TaskSource, snapshotID: string, isLate: boolean): string {
  const when = isLate
    ? "when it started, because they could not be frozen when the task was accepted"
    : "when the task was accepted";
  const whose = kind === "job" ? id : `the ${kind} ${id}`;
  return `It starts from the files of ${whose} as they were ${when} (snapshot ${snapshotID}).`;
}
