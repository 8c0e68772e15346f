/** The share of a property's runs: a tenth, all in `npm run test:all`, which sets the variable to 1. */
const SHARE = Number(process.env.PROPERTY_RUNS ?? 0.1);
const FEWEST = 10;

/** @param all runs in `npm run test:all` */
export const propertyRuns = (all: number): number => Math.ceil(Math.max(all * SHARE, Math.min(all, FEWEST)));
