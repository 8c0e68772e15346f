import { benchExec } from "./exec.ts";
import { benchExecInHost } from "./exec-in-host.ts";
import { benchExperiments } from "./experiments.ts";
import { benchFirstRequest } from "./first-request.ts";
import { benchGpuHeld } from "./gpu-held.ts";
import { benchModal } from "./modal.ts";
import { benchReplay } from "./replay.ts";
import { benchRuns } from "./runs.ts";
import { benchStartCall } from "./start-call.ts";
import { benchStartup } from "./startup.ts";
import { benchTrees } from "./trees.ts";
import { benchTurnover } from "./turnover.ts";
import { benchWakeUp } from "./wake-up.ts";

/*
 * Prints timings on this machine in milliseconds: medians, each beside a baseline measured in the same run.
 * `npm run bench` runs all benchmarks, `npm run bench -- exec` runs one; a number after a name is how many jobs it starts.
 */
const ROUNDS = 9;
const benches: Record<string, (rounds: number, count?: number) => Promise<void>> = {
  startup: benchStartup,
  "start-call": benchStartCall,
  "first-request": benchFirstRequest,
  "wake-up": benchWakeUp,
  turnover: benchTurnover,
  exec: benchExec,
  "exec-in-host": benchExecInHost,
  "gpu-held": benchGpuHeld,
  experiments: benchExperiments,
  modal: benchModal,
  trees: benchTrees,
  runs: benchRuns,
  replay: benchReplay,
};

const wanted = process.argv.slice(2).filter((word) => !/^\d+$/.test(word));
const count = process.argv.slice(2).map(Number).find(Number.isInteger);
const unknown = wanted.find((name) => !benches[name]);
if (unknown) throw new Error(`no bench is named ${unknown}; the names are ${Object.keys(benches).join(", ")}`);
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length === 0 || wanted.includes(name)) await bench(ROUNDS, count);
}
