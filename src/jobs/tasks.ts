import type { Failure } from "../shared/error-code.ts";
import type { JobTask } from "./job.ts";
import type { Catalog } from "./ports.ts";
import type { SnapshotRecord } from "./store/pool-store.ts";

/** A task as the model gave it, its types already checked. */
export interface TaskRequest {
  readonly description: string;
  readonly prompt: string;
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly environment?: string | undefined;
  readonly gpu?: string | undefined;
  readonly from?: string | undefined;
  readonly skills?: readonly string[] | undefined;
  readonly timeout_minutes?: number | undefined;
  readonly max_usd?: number | undefined;
}

/** What a task's names are looked up in. */
export interface TaskContext {
  readonly catalog: Catalog;
  readonly environments: readonly string[];
  readonly findSnapshot: (name: string) => SnapshotRecord | null;
  /** `provider/model` the orchestrator runs on; the default of agents that name none. */
  readonly orchestratorModel: string | null;
}

export type TaskDecision =
  | { readonly kind: "accepted"; readonly task: JobTask }
  | { readonly kind: "refused"; readonly failure: Failure };

export const DEFAULT_AGENT = "sandbox_worker";
/** One million characters is more than any model reads; beyond it a file is meant. */
const PROMPT_LIMIT = 1_000_000;

/** Fills in a task's defaults and resolves its names, or says what is wrong with it in words a model can act on. */
export function decideTask(request: TaskRequest, context: TaskContext): TaskDecision {
  const problem = findProblem(request, context);
  if (problem) return { kind: "refused", failure: { code: "invalid_task", message: problem, retryable: false } };
  const agent = context.catalog.agents.find((one) => one.name === (request.agent ?? DEFAULT_AGENT));
  return {
    kind: "accepted",
    task: {
      description: request.description,
      prompt: request.prompt,
      agent: request.agent ?? DEFAULT_AGENT,
      model: request.model ?? agent?.model ?? context.orchestratorModel,
      environment: request.environment ?? "default",
      snapshotID: request.from === undefined ? null : (context.findSnapshot(request.from)?.id ?? null),
      skills: request.skills ?? [],
    },
  };
}

function findProblem(request: TaskRequest, { catalog, environments, findSnapshot }: TaskContext): string | null {
  const { prompt, agent, model, environment, from, skills } = request;
  if (prompt.trim() === "") return "prompt is empty; say what the job is to do and what it is to report.";
  if (prompt.length > PROMPT_LIMIT) {
    return `prompt has ${prompt.length} characters, at most ${PROMPT_LIMIT} are taken; give long material as a skill or a snapshot.`;
  }
  if (request.gpu !== undefined && request.gpu.toLowerCase() !== "none") {
    return `gpu "${request.gpu}" cannot be had: jobs run in local sandboxes, which have no GPUs in this version. Leave gpu out.`;
  }
  if (request.timeout_minutes !== undefined) return notBuilt("timeout_minutes");
  if (request.max_usd !== undefined) return notBuilt("max_usd");
  const agents = catalog.agents.map((one) => one.name);
  if (agent !== undefined && !agents.includes(agent)) return unknown("agent", agent, agents);
  if (model !== undefined && !catalog.models.has(model)) return unknown("model", model, [...catalog.models]);
  if (environment !== undefined && !environments.includes(environment)) {
    return unknown("environment", environment, environments);
  }
  if (from !== undefined && !findSnapshot(from)) {
    return `from "${from}" names no snapshot of this session; sandbox_snapshot makes one, agents_status lists them.`;
  }
  const known = catalog.skills.map((skill) => skill.name);
  const missing = (skills ?? []).find((name) => !known.includes(name));
  return missing === undefined ? null : unknown("skill", missing, known);
}

const notBuilt = (field: string): string => `${field} is not supported by this version yet; leave it out.`;

function unknown(what: string, name: string, known: readonly string[]): string {
  const shown = known.slice(0, 20).join(", ");
  const more = known.length > 20 ? `, and ${known.length - 20} more` : "";
  return `${what} "${name}" is not configured; there ${known.length === 1 ? "is" : "are"}: ${shown || "none"}${more}.`;
}
