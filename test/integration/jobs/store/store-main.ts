import { failureOf, runStoreScript } from "../../../unit/jobs/store/store-script.ts";

/** Runs the script in a runtime of its own: what it results, or why it could not. */
const [, , stateDir = ""] = process.argv;
let results: unknown;
const failure = await failureOf(async () => {
  results = await runStoreScript(stateDir);
});
process.stdout.write(JSON.stringify(results ?? failure));
