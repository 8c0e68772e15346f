/** From 0 to 1, so that processes that were refused together do not come back together. */
export const chance = (): number => Math.random();
