import { failureOf, runStoreScript } from "../../../unit/jobs/store/store-script.ts";

/** Runs the script in a runtime of its own: what it said, or why it could not. */
const [, , stateDir = ""] = process.argv;
let said: unknown;
const failure = await failureOf(async () => {
  said = await runStoreScript(stateDir);
});
process.stdout.write(JSON.stringify(said ?? failure));
