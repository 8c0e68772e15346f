import type { App, Image, ModalClient, Sandbox } from "modal";
import { formatGpu } from "../../config/gpu.ts";
import { AbandonedError, within } from "../../shared/time-limit.ts";
import type { StepListener } from "../creation-steps.ts";
import type { SandboxSpec } from "../port.ts";
import { askedOf, renderPlace } from "./asked-of-modal.ts";
import type { CallWatch } from "./call-watch.ts";
import { createFailure } from "./create-failure.ts";
import { DEFAULT_MACHINE, toCreateParams } from "./create-params.ts";
import type { Credentials } from "./credentials.ts";
import { endSandbox } from "./end-sandbox.ts";
import type { ExitSnapshots } from "./exit-snapshots.ts";
import { holdCreation } from "./held-creation.ts";
import type { CallDeps } from "./limits.ts";
import { type ErrorKind, kindOf } from "./modal-error.ts";
import type { Mounts } from "./mounts.ts";
import { endOrphan, type OrphanName, reportOrphan } from "./orphans.ts";
import { pastRateLimit, type RateDeps } from "./past-rate-limit.ts";

export interface CreateDeps extends CallDeps, RateDeps {
  readonly client: ModalClient;
  readonly app: App;
  /** Modal environment; null = the account's default. */
  readonly environment: string | null;
  readonly credentials: Credentials;
  readonly exitSnapshots: Pick<ExitSnapshots, "during">;
  readonly watch: CallWatch;
  /** Called when Modal is asked, and again when a sandbox with a GPU has a machine. */
  readonly onStep: StepListener;
  /** Takes work that the provider finishes before it closes, such as ending sandboxes that arrive late. */
  readonly later: (work: Promise<unknown>) => void;
}

/**
 * Creates a sandbox. When its name is taken by a sandbox with the same tags, the reply to an earlier creation was lost:
 * that sandbox is ended and the creation tried once more. Each of the two attempts may take `limits.createMs`; one with a GPU
 * until Modal has the request, which is then held until there is a machine.
 * @throws PluginError `no_capacity`, `sandbox_create_timeout`, `sandbox_create_failed`, `cancelled`
 * @source Modal JS SDK 0.11.1, SandboxService.create
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
  const orphan: OrphanName = { app: app.name ?? "", environment: deps.environment, name: spec.name, tags: spec.tags };
  const asked = askedOf(spec.machine ?? DEFAULT_MACHINE);
  const context = { doing: `create sandbox ${spec.name}`, credentials, asked, ...(gpu && { gpu: formatGpu(gpu) }) };
  const doing = `Creating sandbox ${spec.name}`;
  const endLate = (late: Sandbox) => later(endSandbox(late, deps).catch(reportOrphan(log, spec.name)));
  let waitingID: string | null = null;
  /** Every creation waits for its turn, also one that is made again. */
  const create = async () => {
    await deps.limiter.take(signal);
    if (signal?.aborted) throw new AbandonedError(`${doing} was abandoned`);
    waitingID = null;
    const since = clock.now();
    const params = toCreateParams(spec, mounts);
    const ask = () =>
      deps.exitSnapshots.during(spec, (more) => client.sandboxes.create(app, image, { ...params, ...more }));
    if (gpu === null) {
      deps.onStep({ kind: "booting", since });
      return within(ask(), { clock, limitMs: limits.createMs, doing, signal, onLate: endLate });
    }
    deps.onStep({ kind: "waiting", since, gpu: formatGpu(gpu) });
    const made = await holdCreation(ask, {
      watch: deps.watch, clock, doing, signal, onLate: endLate, gpu: formatGpu(gpu), place: renderPlace(asked),
      answerMs: limits.createMs, waitMs: spec.machine?.gpuWaitMs ?? limits.gpuWaitMs,
      onAccepted: (id) => {
        waitingID = id;
      },
    }); // biome-ignore format: one argument
    deps.onStep({ kind: "booting", since: clock.now() });
    return made;
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await pastRateLimit(deps, doing, create, signal);
    } catch (error) {
      const kind = kindOf(error);
      const ending =
        waitingID !== null
          ? endWaiting(client, waitingID, deps)
          : kind === "exists" || mayLeaveOrphan(kind)
            ? endOrphan(client, orphan, deps)
            : Promise.resolve(false);
      if (kind === "exists" && attempt === 1 && (await ending.catch(() => false))) continue;
      const ended = ending.catch(reportOrphan(log, spec.name));
      // After a GPU was refused, the caller may ask for another one under the same name, so the name must be free.
      if (gpu !== null && kind !== "abandoned") await ended;
      else later(ended);
      throw createFailure(error, context);
    }
  }
}

/** Ends a sandbox that waits for a machine. By its id, as nobody says whether it can be found by its name already. */
async function endWaiting(client: ModalClient, sandboxID: string, deps: CallDeps): Promise<boolean> {
  await endSandbox(await client.sandboxes.fromId(sandboxID), deps);
  return true;
}

/** Whether a creation that failed this way may have left a sandbox, live or waiting for a machine. */
const mayLeaveOrphan = (kind: ErrorKind): boolean =>
  kind === "timed_out" || kind === "abandoned" || kind === "unreachable" || kind === "capacity" || kind === "other";
