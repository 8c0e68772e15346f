import type { Environment } from "../../config/environment.ts";
import { gpusOf } from "../../config/gpu.ts";
import { resourcesOf } from "../../config/resources.ts";
import type { Job } from "../../core/job.ts";
import type { ExitStatus, Sandbox } from "../../sandboxes/port.ts";

/** Exit code with which shells report that a command of theirs was killed by SIGKILL. */
const KILLED = 137;

/** Explains how a command ended that lacked memory, processes or the network, each in a line of its own; "" when there is nothing to say. */
export type ExplainEnd = (status: ExitStatus, isKilledByUs: boolean) => string;

export interface WatchedLimits {
  readonly job: Job | undefined;
  readonly sandbox: Pick<Sandbox, "memory" | "processes" | "network">;
  readonly environments: Readonly<Record<string, Environment>>;
}

/** To be called before the command starts: processes killed or refused before then are not its. */
export function watchLimits(watched: WatchedLimits): ExplainEnd {
  const ofMemory = watchMemory(watched);
  const ofProcesses = watchProcesses(watched);
  const ofNetwork = watchNetwork(watched);
  return (status, isKilledByUs) =>
    ofMemory(status, isKilledByUs) + ofProcesses(status, isKilledByUs) + ofNetwork(status, isKilledByUs);
}

function watchNetwork({ sandbox: { network } }: WatchedLimits): ExplainEnd {
  const before = network?.losses() ?? 0;
  return (status) => {
    if (network === null || (status.kind === "exited" && status.code === 0)) return "";
    const lost = network.lost();
    if (lost !== null)
      return `\n[The sandbox has lost its network, which is started again where that can help: ${lost}]`;
    if (network.losses() === before) return "";
    return "\n[The sandbox was without its network for a moment while this ran, and its connections were cut. It has it again]";
  };
}

function watchProcesses({ sandbox: { processes } }: WatchedLimits): ExplainEnd {
  const before = processes?.refusals() ?? 0;
  return (status) => {
    const refused = (processes?.refusals() ?? 0) - before;
    if (processes === null || refused <= 0 || (status.kind === "exited" && status.code === 0)) return "";
    return `\n[The sandbox could not start more processes or threads, ${refused === 1 ? "once" : `${refused} times`}: all its commands together may have ${processes.limit} at once. Start fewer workers, or fewer threads in each (OMP_NUM_THREADS)]`;
  };
}

function watchMemory({ job, sandbox, environments }: WatchedLimits): ExplainEnd {
  const environment = job?.task.environment ?? "default";
  const recipe = environments[environment];
  const onModal = job?.provider === "modal" && recipe ? resourcesOf(recipe, gpusOf(job.gpu)[0] ?? null) : null;
  const limitMiB =
    sandbox.memory?.limitMiB ?? onModal?.memoryLimitMiB ?? recipe?.memoryLimitMiB ?? recipe?.memoryMiB ?? null;
  const before = sandbox.memory?.kills() ?? 0;
  const option = `"${onModal || recipe?.memoryLimitMiB ? "memoryLimitMiB" : "memoryMiB"}" of the environment "${environment}"`;
  const has = limitMiB === null ? `; ${option} sets how much it has` : `: it has ${limitMiB} MiB, set by ${option}`;
  return (status, isKilledByUs) => {
    const kills = sandbox.memory?.kills() ?? null;
    if (kills !== null && kills > before) {
      const what = kills - before === 1 ? "A process was" : `${kills - before} processes were`;
      return `\n[${what} killed because the sandbox ran out of memory${has}]`;
    }
    const isKilled =
      (status.kind === "signalled" && status.signal === "SIGKILL") ||
      (status.kind === "exited" && status.code === KILLED);
    if (!isKilled || isKilledByUs || kills !== null) return "";
    return `\n[This is how a command ends for which the sandbox has too little memory${has}]`;
  };
}
