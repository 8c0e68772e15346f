import { isDeepStrictEqual } from "node:util";
import type { Environment } from "../config/environment.ts";
import { isEnded, type Job } from "./job.ts";
import type { JobTask } from "./job-task.ts";
import { GPU_OF_RUNS } from "./nested-runs.ts";
import type { SourceContext } from "./starting-point.ts";
import type { TaskRequest } from "./task.ts";

/** What the runs that a job's agent starts may be. They get nothing that their job does not have. */
export interface NestedStart {
  /** The task with the job's own files and environment where it names none. */
  request(request: TaskRequest): TaskRequest;
  /** Names of no other files than the job's own and those of its runs. */
  context<T extends SourceContext>(context: T): T;
  /** Why these runs may not be started; null = they may. @param before runs that the same call starts before them */
  problem(tasks: readonly JobTask[], before: number): string | null;
}

export interface NestedStartFacts {
  readonly starter: Job;
  /** Its runs, ended ones too. */
  readonly runs: readonly Job[];
  readonly environments: Readonly<Record<string, Environment>>;
  /** Runs that it may have open at once. */
  readonly maxOpen: number;
}

/** Refusal of a task that is no command. */
export const COMMANDS_ONLY =
  'inside a job only commands can be started: give "command" in place of "prompt", or do the work yourself.';

export function createNestedStart({ starter, runs, environments, maxOpen }: NestedStartFacts): NestedStart {
  const ids = new Set([starter.id, ...runs.map(({ id }) => id)]);
  return {
    request: (request) => ({
      ...request,
      from: request.from ?? starter.id,
      environment: request.environment ?? starter.task.environment,
    }),
    context: (context) => ({
      ...context,
      isOfJob: true,
      findJob: (id) => (ids.has(id) ? context.findJob(id) : null),
      findSnapshot(name) {
        const found = context.findSnapshot(name);
        return found && ids.has(found.jobID) ? found : null;
      },
      lostLabel(name) {
        const lost = context.lostLabel(name);
        return lost && ids.has(lost.jobID) ? lost : null;
      },
    }),
    problem(tasks, before) {
      const [task] = tasks;
      if (!task) return null;
      const open = runs.filter(({ state }) => !isEnded(state)).length + before;
      if (open + tasks.length > maxOpen)
        return `a job has at most ${maxOpen} runs open at once, and with this task it would have ${open + tasks.length}; wait for some with agents_wait first.`;
      if (task.gpu !== null && starter.task.forbidden.includes(GPU_OF_RUNS))
        return `gpu "${task.gpu}": the user wants to be asked before GPUs are used, or forbids them, and nobody can be asked inside a job; set gpu to "none".`;
      const wider = widerThan(environments[starter.task.environment], environments[task.environment]);
      return wider === null
        ? null
        : `environment "${task.environment}" has ${wider} that this job's own, "${starter.task.environment}", does not have; leave environment out.`;
    },
  };
}

/** What an environment gives to a sandbox that another one does not; null = nothing. */
export function widerThan(own: Environment | undefined, other: Environment | undefined): string | null {
  if (!other || own === other) return null; // one that is not configured is refused anyway
  if (!own) return "things";
  const isOwn = (name: "secrets" | "hostEnv" | "ports") =>
    (other[name] as readonly unknown[]).every((one) => (own[name] as readonly unknown[]).includes(one));
  const isOwnMount = (name: "volumes" | "buckets") =>
    Object.entries(other[name]).every(([path, mount]) =>
      isDeepStrictEqual((own[name] as object)[path as never], mount),
    );
  if (own.network !== "open" && other.network !== "blocked" && !isDeepStrictEqual(own.network, other.network))
    return "a network";
  if (!isOwn("secrets")) return "secrets";
  if (!isOwn("hostEnv")) return "variables of this machine";
  if (!isOwnMount("volumes")) return "volumes";
  if (!isOwnMount("buckets")) return "buckets";
  if (!isOwn("ports")) return "ports";
  if (other.proxy !== null && other.proxy !== own.proxy) return "a proxy";
  if (other.imageSecret !== null && other.imageSecret !== own.imageSecret) return "an image of a private registry";
  return null;
}
