import { benchExec } from "./exec.ts";
import { benchModal } from "./modal.ts";
import { benchStartCall } from "./start-call.ts";
import { benchStartup } from "./startup.ts";
import { benchTrees } from "./trees.ts";
import { benchWakeUp } from "./wake-up.ts";

/*
 * Figures of this machine, in milliseconds: medians beside what they are measured against in the same run. Run with
 * `npm run bench`, or `npm run bench -- exec` for one of them.
 */
const benches: Record<string, (rounds: number) => Promise<void>> = {
  startup: benchStartup,
  "start-call": benchStartCall,
  "wake-up": benchWakeUp,
  exec: benchExec,
  modal: benchModal,
  trees: benchTrees,
};

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !benches[name]);
if (unknown) throw new Error(`no bench ${unknown}; there are ${Object.keys(benches).join(", ")}`);
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length === 0 || wanted.includes(name)) await bench(9);
}
