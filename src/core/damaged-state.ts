/*
 * What users and models are told about state files that were found damaged and set aside.
 */

interface Pool {
  damaged(): readonly string[];
  begunAnew(): string | null;
}

const LOST = "labels and snapshots from before are no longer known; jobs and their sandboxes are.";

/** @param aside new path of the file that all processes share */
const describeDamagedPool = (aside: string): string =>
  `The record of sandboxes and snapshots was damaged and is set aside as ${aside}: ${LOST}`;

/** @param file that all processes share; there is nothing to set aside */
const describeLostPool = (file: string): string =>
  `The record of sandboxes and snapshots, ${file}, was missing or empty and is begun anew: ${LOST}`;

/** @param aside new path of a session's file */
export const describeDamagedSession = (aside: string): string =>
  `The record of a session's jobs was damaged and is set aside as ${aside}: jobs started before are no longer known; their sandboxes are kept for a day.`;

export const describeDamage = (pool: Pool, sessions: readonly string[]): string[] => [
  ...pool.damaged().map(describeDamagedPool),
  ...[pool.begunAnew()].flatMap((file) => (file === null ? [] : [describeLostPool(file)])),
  ...sessions.map(describeDamagedSession),
];
