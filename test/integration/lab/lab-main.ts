import { runLabScript } from "../../unit/lab/lab-script.ts";

/** Runs the script in a runtime of its own. */
const [, , stateDir = ""] = process.argv;
process.stdout.write(JSON.stringify(await runLabScript(stateDir)));
