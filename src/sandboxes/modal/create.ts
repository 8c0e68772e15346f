import type { App, Image, ModalClient, Sandbox } from "modal";
import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import { AbandonedError, within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { SandboxSpec } from "../port.ts";
import { createFailure } from "./create-failure.ts";
import { type Mounts, NO_WISHES, toCreateParams } from "./create-params.ts";
import type { Credentials } from "./credentials.ts";
import { kindOf } from "./modal-error.ts";
import { endByName, endSandbox, reportStray, type StrayDeps, type StrayName } from "./strays.ts";

export interface CreateDeps extends StrayDeps {
  readonly client: ModalClient;
  readonly app: App;
  readonly environment: string | null;
  readonly credentials: Credentials;
  /** Work that nobody waits for but that is to be finished: the ending of late arrivals. */
  readonly later: (work: Promise<unknown>) => void;
}

export interface Created {
  readonly sandbox: Sandbox;
  readonly gpu: GpuRequest | null;
}

/**
 * Creates the sandbox with the first GPU of its preferences that has capacity.
 * @throws PluginError `no_capacity`, `sandbox_create_timeout`, `sandbox_create_failed`, `cancelled`
 */
export async function createSandbox(
  deps: CreateDeps,
  spec: SandboxSpec,
  image: Image,
  mounts: Mounts,
  signal?: AbortSignal,
): Promise<Created> {
  const { gpus } = spec.machine ?? NO_WISHES;
  if (gpus.length === 0) return { sandbox: await createOne(deps, spec, image, mounts, null, signal), gpu: null };
  const refusals: PluginError[] = [];
  for (const gpu of gpus) {
    try {
      return { sandbox: await createOne(deps, spec, image, mounts, gpu, signal), gpu };
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== "no_capacity") throw error;
      refusals.push(error);
      deps.log("info", "A GPU has no capacity", { name: spec.name, gpu: formatGpu(gpu), reason: error.message });
    }
  }
  const [only] = refusals;
  if (refusals.length === 1 && only) throw only;
  throw new PluginError(
    "no_capacity",
    `None of ${gpus.map(formatGpu).join(", ")} could be had: ${refusals.map(({ message }) => message).join(" ")}`,
    { cause: new AggregateError(refusals), retryable: true },
  );
}

async function createOne(
  deps: CreateDeps,
  spec: SandboxSpec,
  image: Image,
  mounts: Mounts,
  gpu: GpuRequest | null,
  signal?: AbortSignal,
): Promise<Sandbox> {
  const { client, app, clock, limits, log, credentials, later } = deps;
  const stray: StrayName = { app: app.name ?? "", environment: deps.environment, name: spec.name, tags: spec.tags };
  const context = { doing: `create sandbox ${spec.name}`, credentials, ...(gpu && { gpu: formatGpu(gpu) }) };
  const endLate = (late: Sandbox) => later(endSandbox(late, deps).catch(reportStray(log, spec.name)));
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (signal?.aborted) throw new AbandonedError(`Creating sandbox ${spec.name} was abandoned`);
      const creating = client.sandboxes.create(app, image, toCreateParams(spec, gpu, mounts));
      return await within(creating, {
        clock,
        limitMs: limits.createMs,
        doing: `Creating sandbox ${spec.name}`,
        signal,
        onLate: endLate,
      });
    } catch (error) {
      const kind = kindOf(error);
      const ending = kind === "exists" || leavesOne(kind) ? endByName(client, stray, deps) : Promise.resolve(false);
      // Names are ours alone: a sandbox of the same name and tags is one of a creation whose reply was lost.
      if (kind === "exists" && attempt === 1 && (await ending.catch(() => false))) continue;
      const swept = ending.catch(reportStray(log, spec.name));
      // The next type of GPU wants the name; nobody else has to wait.
      if (gpu !== null && kind !== "abandoned") await swept;
      else later(swept);
      throw createFailure(error, context);
    }
  }
}

/** Whether a creation that failed so may have left a sandbox, queueing or alive. */
const leavesOne = (kind: ReturnType<typeof kindOf>): boolean =>
  kind === "timed_out" || kind === "abandoned" || kind === "unreachable" || kind === "capacity" || kind === "other";
