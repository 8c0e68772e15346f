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
import type { FreshNames } from "./fresh-names.ts";
import { holdCreation } from "./held-creation.ts";
import type { CallDeps } from "./limits.ts";
import { type ErrorKind, kindOf } from "./modal-error.ts";
import type { Mounts } from "./mounts.ts";
import { endOrphan, type OrphanName, reportOrphan } from "./orphans.ts";
import { pastRateLimit, type RateDeps } from "./past-rate-limit.ts";
import type { QuotaWaits } from "./quota-waits.ts";

export interface CreateDeps extends CallDeps, RateDeps {
  readonly client: ModalClient;
  readonly app: App;
  /** Modal environment; null = that of the client. */
  readonly environment: string | null;
  readonly credentials: Credentials;
  readonly quotaWaits: QuotaWaits;
  readonly freshNames: FreshNames;
  readonly exitSnapshots: Pick<ExitSnapshots, "during">;
  readonly watch: CallWatch;
  /** Called when it waits for its turn, when Modal is asked, and when a sandbox with a GPU has a machine. */
  readonly onStep: StepListener;
  /** Takes work that the provider finishes before it closes, such as ending sandboxes that arrive late. */
  readonly later: (work: Promise<unknown>) => void;
}

const ATTEMPTS = 3;

/**
 * Creates a sandbox. Its name is new: the name of one that was terminated stays held until that has ended. If the name is
 * held all the same, by a sandbox with the same tags, the reply to an earlier creation was lost, or its process has died: that
 * sandbox is ended, and the next attempt has another name. Each attempt may take `limits.createMs`; one with a GPU until Modal
 * has the request, which is then held until there is a machine.
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
  const ours: Omit<OrphanName, "name"> = {
    app: app.name ?? "",
    appID: app.appId,
    environment: deps.environment,
    tags: spec.tags,
    onEnded: spec.onLeftEnded,
  };
  const asked = askedOf(spec.machine ?? DEFAULT_MACHINE);
  const context = { doing: `create sandbox ${spec.name}`, credentials, asked, ...(gpu && { gpu: formatGpu(gpu) }) };
  const doing = `Creating sandbox ${spec.name}`;
  const endLate = (late: Sandbox) => later(endSandbox(late, deps).catch(reportOrphan(log, spec.name)));
  let name: string | null = null;
  let waitingID: string | null = null;
  const turn = { kind: "turn", since: clock.now(), perSecond: deps.limiter.rate.perSecond } as const;
  const waitForTurn = () => deps.onStep(turn);
  /** Every creation waits for its turn, also one that is made again. */
  const create = async () => {
    await deps.limiter.take(signal, waitForTurn);
    if (signal?.aborted) throw new AbandonedError(`${doing} was abandoned`);
    if (waitingID !== null) later(endWaiting(client, waitingID, deps).catch(reportOrphan(log, name ?? spec.name)));
    waitingID = null;
    name = deps.freshNames.take(spec.name);
    const since = clock.now();
    const params = toCreateParams({ ...spec, name }, mounts);
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
  // By the wanted name the next process finds what this one leaves behind, should it die while it creates.
  const createOrGiveBack = () =>
    create().catch((error: unknown) => {
      if (name !== null && isRefusal(kindOf(error))) deps.freshNames.giveBack(name);
      throw error;
    });
  const inTurn = () => pastRateLimit({ ...deps, onPause: waitForTurn }, doing, createOrGiveBack, signal);
  async function endLeft(named: string, kind: ErrorKind): Promise<void> {
    if (waitingID !== null) await endWaiting(client, waitingID, deps);
    else if (kind === "exists" || mayLeaveOrphan(kind)) await endOrphan(client, { ...ours, name: named }, deps);
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await deps.quotaWaits.past(inTurn, {
        name: spec.name, limitMs: limits.gpuWaitMs, doing, signal,
        onWait: (since, why) => deps.onStep({ kind: "limited", since, why }),
      }); // biome-ignore format: one argument
    } catch (error) {
      const kind = kindOf(error);
      if (name !== null) {
        const ended = endLeft(name, kind).catch(reportOrphan(log, name));
        // After a GPU was refused, the caller may ask for another one: the request for the first must be taken back.
        if (gpu !== null && kind !== "abandoned") await ended;
        else later(ended);
      }
      if (kind === "exists" && attempt < ATTEMPTS) continue;
      throw createFailure(error, context);
    }
  }
}

/** Ends a sandbox that waits for a machine. By its id, as nobody says whether it can be found by its name already. */
async function endWaiting(client: ModalClient, sandboxID: string, deps: CallDeps): Promise<void> {
  await endSandbox(await client.sandboxes.fromId(sandboxID), deps);
}

/** Whether Modal has made nothing, and may do so when it is asked again. */
const isRefusal = (kind: ErrorKind): boolean => kind === "rate" || kind === "quota";

/** Whether a creation that failed this way may have left a sandbox, live or waiting for a machine. */
const mayLeaveOrphan = (kind: ErrorKind): boolean =>
  kind === "timed_out" || kind === "abandoned" || kind === "unreachable" || kind === "capacity" || kind === "other";
