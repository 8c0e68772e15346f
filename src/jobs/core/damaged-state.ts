/*
 * What is told of state files that were found damaged and are set aside. Nobody can say what was in them.
 */

/** @param aside where the database of all processes went */
export const describeDamagedPool = (aside: string): string =>
  `The record of sandboxes and snapshots was damaged and is set aside as ${aside}: labels and snapshots taken before are not known any more; jobs and their sandboxes are.`;

/** @param aside where the database of a session went */
export const describeDamagedSession = (aside: string): string =>
  `The record of a session's jobs was damaged and is set aside as ${aside}: jobs started before are not known any more; their sandboxes are kept for a day.`;

export const describeDamage = (pools: readonly string[], sessions: readonly string[]): string[] => [
  ...pools.map(describeDamagedPool),
  ...sessions.map(describeDamagedSession),
];
