/*
 * What users and models are told about state files that were found damaged and set aside.
 */

/** @param aside new path of the file that all processes share */
export const describeDamagedPool = (aside: string): string =>
  `The record of sandboxes and snapshots was damaged and is set aside as ${aside}: labels and snapshots from before are no longer known; jobs and their sandboxes are.`;

/** @param aside new path of a session's file */
export const describeDamagedSession = (aside: string): string =>
  `The record of a session's jobs was damaged and is set aside as ${aside}: jobs started before are no longer known; their sandboxes are kept for a day.`;

export const describeDamage = (pools: readonly string[], sessions: readonly string[]): string[] => [
  ...pools.map(describeDamagedPool),
  ...sessions.map(describeDamagedSession),
];
