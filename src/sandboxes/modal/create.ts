import type { App, Image, ModalClient, Sandbox } from "modal";
import { formatGpu } from "../../config/gpu.ts";
import { AbandonedError, within } from "../../shared/deadline.ts";
import type { SandboxSpec } from "../port.ts";
import { createFailure } from "./create-failure.ts";
import { type Mounts, toCreateParams } from "./create-params.ts";
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

/**
 * Creates the sandbox, with the GPU of its spec if it names one. When Modal has the name already, the sandbox that has
 * it is one of ours whose creation went unanswered: it is ended, and the creation tried once more.
 * @throws PluginError `no_capacity`, `sandbox_create_timeout`, `sandbox_create_failed`, `cancelled`
 * @source Modal JS SDK 0.11.1, SandboxService.create; the time limit is `limits.createMs` for each of the two attempts
 */
export async function createSandbox(
  deps: CreateDeps,
  spec: SandboxSpec,
  image: Image,
  mounts: Mounts,
  signal?: AbortSignal,
): Promise<Sandbox> {
  const { client, app, clock, limits, log, credentials, later } = deps;
  const gpu = spec.machine?.gpu ?? null;
  const stray: StrayName = { app: app.name ?? "", environment: deps.environment, name: spec.name, tags: spec.tags };
  const context = { doing: `create sandbox ${spec.name}`, credentials, ...(gpu && { gpu: formatGpu(gpu) }) };
  const endLate = (late: Sandbox) => later(endSandbox(late, deps).catch(reportStray(log, spec.name)));
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (signal?.aborted) throw new AbandonedError(`Creating sandbox ${spec.name} was abandoned`);
      const creating = client.sandboxes.create(app, image, toCreateParams(spec, mounts));
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
      // The caller's next choice of GPU uses the same name; without a GPU nobody has to wait.
      if (gpu !== null && kind !== "abandoned") await swept;
      else later(swept);
      throw createFailure(error, context);
    }
  }
}

/** Whether a creation that failed so may have left a sandbox, queueing or alive. */
const leavesOne = (kind: ReturnType<typeof kindOf>): boolean =>
  kind === "timed_out" || kind === "abandoned" || kind === "unreachable" || kind === "capacity" || kind === "other";
