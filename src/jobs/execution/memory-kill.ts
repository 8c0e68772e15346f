import type { Environment } from "../../config/environment.ts";
import { gpusOf } from "../../config/gpu.ts";
import { resourcesOf } from "../../config/resources.ts";
import type { Job } from "../../core/job.ts";
import type { ExitStatus, Sandbox } from "../../sandboxes/port.ts";

/** Exit code with which shells report that a command of theirs was killed by SIGKILL. */
const KILLED = 137;

/** Explains how a command ended that may have lacked memory, in a line of its own; "" when there is nothing to say. */
export type ExplainEnd = (status: ExitStatus, isKilledByUs: boolean) => string;

export interface WatchedMemory {
  readonly job: Job | undefined;
  readonly sandbox: Pick<Sandbox, "memory">;
  readonly environments: Readonly<Record<string, Environment>>;
}

/** To be called before the command starts: processes killed before then are not its. */
export function watchMemory({ job, sandbox, environments }: WatchedMemory): ExplainEnd {
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
