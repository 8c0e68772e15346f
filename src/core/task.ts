import { formatGpu, parseGpu } from "../config/gpu.ts";
import type { ProviderName } from "../config/provider-names.ts";
import type { MachineReading } from "../sandboxes/machine-gpus.ts";
import type { Failure } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import type { GpuLimits } from "./admission.ts";
import { gpuProblem } from "./gpu-problem.ts";
import type { JobTask } from "./job-task.ts";
import type { Catalog, CatalogAgent } from "./ports.ts";
import type { RunWishes } from "./run-wishes.ts";
import { decideStart, type SourceContext } from "./starting-point.ts";

/** A task as the model wrote it, after its types have been checked: an agent's has a prompt, a run's a command. */
export interface TaskRequest extends RunWishes {
  readonly description: string;
  readonly prompt?: string | undefined;
  readonly agent?: string | undefined;
  readonly model?: string | undefined;
  readonly variant?: string | undefined;
  readonly environment?: string | undefined;
  readonly gpu?: string | undefined;
  readonly from?: string | undefined;
  readonly skills?: readonly string[] | undefined;
  readonly timeout_minutes?: number | undefined;
  readonly max_usd?: number | undefined;
}

/** Where the names in a task are looked up. */
export interface TaskContext extends SourceContext {
  readonly catalog: Catalog;
  /** By name; `gpu` as written in the options. */
  readonly environments: Readonly<Record<string, { readonly gpu: string | null }>>;
  readonly gpuLimits: GpuLimits;
  /** Where new jobs run. */
  readonly provider: ProviderName;
  /** GPUs of this machine that its local jobs may use; null or absent = nobody has looked. */
  readonly machine?: MachineReading | null;
  /** `provider/model` of the orchestrator: the default for agents without a model. */
  readonly orchestratorModel: string | null;
  /** Variant of that model that the orchestrator runs on. */
  readonly orchestratorVariant: string | null;
  /** Sandbox tools that no job of this call gets, because the user forbids them to the agent that starts it. */
  readonly forbidden: readonly string[];
}

export type TaskDecision =
  /** `parent`: the job whose files it starts from; null = none. */
  | { readonly kind: "accepted"; readonly task: JobTask; readonly parent: string | null }
  | { readonly kind: "refused"; readonly failure: Failure };

export const DEFAULT_AGENT = "sandbox_worker";
export const DESCRIPTION_LIMIT = 80;
/** One million characters is more than any model reads: longer material belongs in a file. */
const PROMPT_LIMIT = 1_000_000;

/** Fills in a task's defaults and resolves its names, or refuses the task with a message that a model can act on. */
export function decideTask(request: TaskRequest, context: TaskContext): TaskDecision {
  const problem = findProblem(request, context);
  if (problem !== null) return refusal(problem);
  const decided = decidePlace(request, context);
  if (decided.kind === "refused") return refusal(decided.problem);
  const { place, parent } = decided;
  const agent = context.catalog.agents.find(({ name }) => name === (request.agent ?? DEFAULT_AGENT));
  const model = modelOf(request, agent, context);
  return {
    kind: "accepted",
    parent,
    task: {
      ...place,
      description: oneLine(request.description, DESCRIPTION_LIMIT) || "task",
      prompt: request.prompt ?? "",
      agent: request.agent ?? DEFAULT_AGENT,
      model,
      variant: variantOf(request, agent, model, context),
      skills: request.skills ?? [],
      forbidden: [...new Set([...(agent?.forbidden ?? []), ...context.forbidden])],
      rules: agent?.rules ?? [],
      run: null,
    },
  };
}

/** Where a job runs, from what, and within which limits. */
export type TaskPlace = Pick<JobTask, "environment" | "gpu" | "snapshotID" | "source" | "timeoutMinutes" | "maxUsd">;

type PlaceDecision =
  | { readonly kind: "decided"; readonly place: TaskPlace; readonly parent: string | null }
  | { readonly kind: "refused"; readonly problem: string };

/** What agents and runs have in common. */
export function decidePlace(request: TaskRequest, context: TaskContext): PlaceDecision {
  const problem = findPlaceProblem(request, context);
  if (problem) return { kind: "refused", problem };
  const start = decideStart(request.from, context);
  if (start.kind === "refused") return { kind: "refused", problem: start.why };
  const { snapshotID, source, parent } = start.from;
  const environment = request.environment ?? "default";
  return {
    kind: "decided",
    parent,
    place: {
      environment,
      gpu: canonicalGpu(requestedGpu(request, context.environments[environment]?.gpu ?? null)),
      snapshotID,
      ...(source && { source }),
      timeoutMinutes: request.timeout_minutes ?? null,
      maxUsd: request.max_usd ?? null,
    },
  };
}

const refusal = (message: string): TaskDecision => ({
  kind: "refused",
  failure: { code: "invalid_task", message, retryable: false },
});

const modelOf = (request: TaskRequest, agent: CatalogAgent | undefined, context: TaskContext): string | null =>
  request.model ?? agent?.model ?? context.orchestratorModel;

/** The variant of no variant, as OpenCode names it. */
const NO_VARIANT = "default";

/**
 * The task's variant; else, where its model is the agent's own, the agent's, and else the orchestrator's, each where the
 * model has it.
 */
function variantOf(
  request: TaskRequest,
  agent: CatalogAgent | undefined,
  model: string | null,
  { catalog, orchestratorVariant }: TaskContext,
): string | null {
  if (request.variant !== undefined) return request.variant === NO_VARIANT ? null : request.variant;
  const isOfAgent = request.model === undefined && agent !== undefined && agent.model !== null;
  const wanted = isOfAgent ? agent.variant : orchestratorVariant;
  const known = catalog.models.get(model ?? "")?.variants ?? [];
  return wanted !== null && known.includes(wanted) ? wanted : null;
}

/** The task's GPUs, else its environment's; "none" drops them. */
const requestedGpu = ({ gpu }: TaskRequest, ofEnvironment: string | null): string | null =>
  isNoGpu(gpu) ? null : (gpu ?? ofEnvironment);

/** Words by which a task drops the GPU of its environment. */
export const isNoGpu = (gpu: string | undefined): boolean => /^(?:none|no|false|0|cpu)$/i.test(gpu?.trim() ?? "");

function canonicalGpu(text: string | null): string | null {
  const parsed = text === null ? null : parseGpu(text);
  return parsed?.kind === "ok" ? parsed.preferences.map(formatGpu).join("|") : null;
}

function findProblem(request: TaskRequest, context: TaskContext): string | null {
  const { catalog } = context;
  const { prompt = "", agent, model, skills } = request;
  if (prompt.trim() === "")
    return 'prompt is empty; say what the job should do and what it should report. For a command without a model, give "command" instead.';
  if (prompt.length > PROMPT_LIMIT) {
    return `prompt has ${prompt.length} characters, and at most ${PROMPT_LIMIT} are allowed; provide long material as a skill or a snapshot.`;
  }
  const agents = catalog.agents.map(({ name }) => name);
  if (agent === undefined && !agents.includes(DEFAULT_AGENT)) return NO_DEFAULT_AGENT;
  if (agent !== undefined && !agents.includes(agent)) return unknown("agent", agent, agents);
  if (model !== undefined && !catalog.models.has(model)) return unknown("model", model, [...catalog.models.keys()]);
  const variantProblem = findVariantProblem(request, context);
  if (variantProblem) return variantProblem;
  const known = catalog.skills.map((skill) => skill.name);
  const missing = (skills ?? []).find((name) => !known.includes(name));
  return missing === undefined ? null : unknown("skill", missing, known);
}

const NO_DEFAULT_AGENT = `OpenCode has no agent "${DEFAULT_AGENT}", which jobs are given: its configuration disables it (agent.${DEFAULT_AGENT}.disable), or was loaded without this plugin. Enable it and reload OpenCode, or name another agent.`;

function findPlaceProblem(request: TaskRequest, context: TaskContext): string | null {
  const environments = Object.keys(context.environments);
  const { environment } = request;
  if (environment !== undefined && !environments.includes(environment)) {
    return unknown("environment", environment, environments);
  }
  const gpu = requestedGpu(request, context.environments[environment ?? "default"]?.gpu ?? null);
  const parsed = gpu === null ? null : parseGpu(gpu);
  if (parsed?.kind === "invalid") return `gpu "${gpu}": ${parsed.message}.`;
  return gpu !== null && parsed?.kind === "ok" ? gpuProblem(gpu, parsed.preferences, context) : null;
}

function findVariantProblem(request: TaskRequest, context: TaskContext): string | null {
  const { variant, agent = DEFAULT_AGENT } = request;
  if (variant === undefined || variant === NO_VARIANT) return null;
  const own = context.catalog.agents.find(({ name }) => name === agent);
  const model = modelOf(request, own, context);
  const known = model === null ? undefined : context.catalog.models.get(model);
  if (!known || known.variants.includes(variant)) return null;
  return unknown(`variant of ${model}`, variant, known.variants);
}

function unknown(what: string, name: string, known: readonly string[]): string {
  const shown = known.slice(0, 20).join(", ");
  const more = known.length > 20 ? `, and ${known.length - 20} more` : "";
  return `${what} "${name}" is not configured; there ${known.length === 1 ? "is" : "are"}: ${shown || "none"}${more}.`;
}
