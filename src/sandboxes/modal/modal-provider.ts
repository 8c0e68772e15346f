import type { App, Image, ModalClient, Sandbox as SdkSandbox } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { AbandonedError, within } from "../../shared/time-limit.ts";
import { type CreationLimiter, createOwnLimiter } from "../creation-limiter.ts";
import type { StepListener } from "../creation-steps.ts";
import type { ListedSandbox, Sandbox, SandboxGpu, SandboxPort, SandboxProvider, SandboxSpec } from "../port.ts";
import { askedOf } from "./asked-of-modal.ts";
import { findSandbox, hasEnded, isSandboxID } from "./attach.ts";
import { readBillingRates } from "./billing-rates.ts";
import { type CreateDeps, createSandbox } from "./create.ts";
import { createFailure } from "./create-failure.ts";
import { DEFAULT_MACHINE, lifetimeOf, requireName } from "./create-params.ts";
import { MAX_LIFETIME_MS } from "./durations.ts";
import { endSandbox, terminate } from "./end-sandbox.ts";
import { ExitSnapshots } from "./exit-snapshots.ts";
import { createFreshNames, type FreshNames } from "./fresh-names.ts";
import { firstFailure, withApp, withHandles } from "./handles.ts";
import { ImageCache } from "./image-cache.ts";
import { LaterWork } from "./later-work.ts";
import { type ModalLimits, toLimits } from "./limits.ts";
import { listSandboxes } from "./listing.ts";
import { ModalAccess } from "./modal-client.ts";
import { ModalSandbox } from "./modal-sandbox.ts";
import { createModalSnapshots, restoreDirectory } from "./modal-snapshots.ts";
import { findMounts, type Mounts } from "./mounts.ts";
import { pastRateLimit } from "./past-rate-limit.ts";
import { checkBuckets, type Prepared, prepareSandbox, readDevices, readPorts } from "./prepare.ts";
import type { ModalProviderDeps } from "./provider-deps.ts";
import { QuotaWaits } from "./quota-waits.ts";
import { SandboxCore } from "./sandbox-core.ts";
import { TarFiles } from "./tar-files.ts";
import { createUsageReader } from "./usage.ts";

export type { ModalProviderDeps };

/** Sandboxes on Modal. Loads and asks nothing before the first call. */
export const createModalProvider = (deps: ModalProviderDeps): SandboxProvider => new ModalProvider(deps);

const MIN_PREPARE_MS = 5_000;

/*
 * M1: a sandbox that was created is returned or ended, never neither. M2: `#live` holds one handle per id, so that a sandbox
 * is polled once and has one connection.
 */
class ModalProvider implements SandboxProvider {
  readonly name = "modal";
  readonly lent = null;
  readonly place = (workdir: string) => ({ workdir, home: null });
  readonly snapshots;
  readonly #deps: ModalProviderDeps;
  readonly #limits: ModalLimits;
  readonly #limiter: CreationLimiter;
  readonly #access: ModalAccess;
  readonly #images: ImageCache;
  readonly #tars: TarFiles;
  readonly #exitSnapshots: ExitSnapshots;
  readonly #freshNames: FreshNames;
  readonly #readUsage: ReturnType<typeof createUsageReader>;
  readonly #quotaWaits: QuotaWaits;
  readonly #live = new Map<string, ModalSandbox>();
  readonly #attaching = new Map<string, Promise<ModalSandbox>>();
  readonly #later: LaterWork;
  readonly #closing = new AbortController();

  constructor(deps: ModalProviderDeps) {
    this.#deps = deps;
    this.#freshNames = createFreshNames(deps.ids);
    this.#quotaWaits = new QuotaWaits(deps);
    const { createsPerSecond, createsBurst } = deps.options;
    const rate = { perSecond: createsPerSecond, burst: createsBurst };
    this.#limiter = deps.limiter ?? createOwnLimiter(rate, deps.clock);
    this.#limits = { ...toLimits(deps.options), ...deps.limits };
    this.#later = new LaterWork(deps.log);
    const shared = { ...deps, limits: this.#limits, later: (work: Promise<unknown>) => this.#later.add(work) };
    this.#access = new ModalAccess(shared);
    this.#images = new ImageCache({
      ...shared,
      watch: this.#access.watch,
      credentials: () => this.#access.credentials,
    });
    const client = () => this.#access.client();
    this.#exitSnapshots = new ExitSnapshots({ ...shared, client });
    this.#readUsage = createUsageReader(client, shared);
    this.#tars = new TarFiles({ ...deps, limitMs: this.#limits.snapshotMs });
    this.snapshots = createModalSnapshots({
      ...shared,
      client,
      exitSnapshots: this.#exitSnapshots,
      tars: this.#tars,
      ours: (sandbox) => this.#ours(sandbox),
    });
  }

  create(spec: SandboxSpec, signal?: AbortSignal, onStep?: StepListener): Promise<Sandbox> {
    // The steps have their own time limits; this only makes an abort reject at once.
    return within(this.#create(spec, signal, onStep), {
      clock: this.#deps.clock,
      limitMs: Number.MAX_SAFE_INTEGER,
      doing: `Creating sandbox ${spec.name}`,
      signal,
      onLate: (late) => this.#later.endUngiven(spec, late.id, late.billedSince, late.terminate()),
    }).catch((error: unknown) => {
      if (error instanceof AbandonedError)
        throw new PluginError("cancelled", `Cancelled while creating sandbox ${spec.name}.`, {
          cause: error,
          retryable: false,
        });
      throw error;
    });
  }

  async #create(spec: SandboxSpec, signal?: AbortSignal, onStep?: StepListener): Promise<ModalSandbox> {
    if (this.#closing.signal.aborted)
      throw new PluginError("sandbox_create_failed", "The Modal provider is closed.", { retryable: false });
    requireName(spec.name);
    this.#tars.require(spec);
    const client = await this.#access.client();
    const create = async () => {
      // First, as a name that Modal does not know costs nothing yet: an image may take minutes to build.
      const mounts = await findMounts(
        client,
        { name: spec.name, machine: spec.machine ?? DEFAULT_MACHINE },
        { ...this.#callDeps(), credentials: this.#access.credentials },
        signal,
      );
      return withHandles({ ...this.#handlesDeps(), onStep }, client, spec, (app, image) =>
        this.#createFrom(client, app, image, mounts, spec, signal, onStep),
      );
    };
    return pastRateLimit(this.#callDeps(), `Creating sandbox ${spec.name}`, create, signal);
  }

  async #createFrom(
    client: ModalClient,
    app: App,
    image: Image,
    mounts: Mounts,
    spec: SandboxSpec,
    signal?: AbortSignal,
    onStep?: StepListener,
  ): Promise<ModalSandbox> {
    const { clock, options } = this.#deps;
    const { credentials } = this.#access;
    let bootingSince = clock.now();
    const machine = spec.machine ?? DEFAULT_MACHINE;
    const deps: CreateDeps = {
      ...this.#callDeps(),
      client,
      app,
      environment: options.environment,
      credentials,
      freshNames: this.#freshNames,
      quotaWaits: this.#quotaWaits,
      exitSnapshots: this.#exitSnapshots,
      watch: this.#access.watch,
      onStep: (step) => {
        bootingSince = step.since;
        onStep?.(step);
      },
      later: (work) => this.#later.add(work),
    };
    const sandbox = await createSandbox(deps, spec, image, mounts, signal);
    const billedSince = clock.now();
    try {
      const leftMs = Math.max(MIN_PREPARE_MS, bootingSince + this.#limits.createMs - clock.now());
      const limitMs = machine.gpu === null ? leftMs : this.#limits.gpuBootMs;
      const target = { ...this.#deps, sandbox };
      const [prepared, gpu, ports] = await Promise.all([
        prepareSandbox(target, spec.workdir, limitMs, spec.commandFollows ? lifetimeOf(machine) : null, signal),
        machine.gpu === null ? null : readDevices(target, machine.gpu, this.#limits.callMs),
        readPorts(target, machine.ports, this.#limits.callMs),
        checkBuckets(target, machine, this.#limits.callMs),
      ]);
      await restoreDirectory(client, sandbox, spec, this.#callDeps(), this.#deps.ids());
      if (this.#closing.signal.aborted)
        throw new PluginError("sandbox_create_failed", "The Modal provider was closed meanwhile.", {
          retryable: false,
        });
      const live = this.#hold(sandbox, prepared, {
        lifetimeMs: lifetimeOf(machine),
        gpu,
        billedSince,
        ports,
        env: spec.env,
        notes: [...mounts.notes, ...this.#exitSnapshots.notesFor(spec)],
      });
      await this.#tars.restore(live, spec);
      return live;
    } catch (error) {
      this.#later.endUngiven(spec, sandbox.sandboxId, billedSince, endSandbox(sandbox, this.#callDeps())); // M1
      const said = await firstFailure(this.#callDeps(), client, sandbox.sandboxId, error);
      throw createFailure(said, {
        doing: `prepare sandbox ${spec.name}`,
        credentials,
        asked: askedOf(machine),
        ...(machine.gpu && { limit: "The limit for a sandbox with a GPU cannot be changed." }),
      });
    }
  }

  async attach(sandboxID: string, env: Readonly<Record<string, string>>): Promise<Sandbox> {
    const live = this.#live.get(sandboxID);
    live?.core.requireLive();
    if (live) return live;
    const pending = this.#attaching.get(sandboxID) ?? this.#find(sandboxID, env);
    this.#attaching.set(sandboxID, pending);
    return pending.finally(() => this.#attaching.delete(sandboxID));
  }

  async #find(sandboxID: string, env: Readonly<Record<string, string>>): Promise<ModalSandbox> {
    const { sandbox, prepared, gpu } = await findSandbox(() => this.#access.client(), sandboxID, this.#callDeps());
    const unknown = { billedSince: null, ports: [], notes: [] };
    return this.#hold(sandbox, prepared, { lifetimeMs: MAX_LIFETIME_MS, gpu, env, ...unknown });
  }

  #hold(
    sandbox: SdkSandbox,
    { workdir, home, ...found }: Prepared,
    more: {
      lifetimeMs: number;
      gpu: SandboxGpu | null;
      billedSince: number | null;
      ports: readonly SandboxPort[];
      env: Readonly<Record<string, string>>;
      notes: readonly string[];
    },
  ): ModalSandbox {
    const core = new SandboxCore({
      ...this.#deps,
      limits: this.#limits,
      sandbox,
      findAgain: async () => (await this.#access.client()).sandboxes.fromId(sandbox.sandboxId),
      ...found,
      lifetimeMs: more.lifetimeMs,
      env: more.env,
    });
    const live = new ModalSandbox({
      core,
      workdir,
      home,
      notes: more.notes,
      gpu: more.gpu,
      billedSince: more.billedSince,
      ports: more.ports,
      usage: () => this.#readUsage(core.id),
      terminate: () => this.terminate(core.id),
    });
    this.#live.set(core.id, live); // M2
    void core.ended.then(() => {
      if (this.#live.get(core.id) === live) this.#live.delete(core.id);
      core.detach();
    });
    return live;
  }

  async terminate(sandboxID: string): Promise<void> {
    if (!isSandboxID(sandboxID)) return;
    await this.#attaching.get(sandboxID)?.catch(() => {});
    const sandbox = await (await this.#access.client()).sandboxes.fromId(sandboxID);
    await terminate(sandbox, this.#live.get(sandboxID)?.core ?? null, this.#callDeps(), this.#closing.signal);
  }

  readonly prices = async () => readBillingRates(await this.#access.client(), this.#callDeps());
  readonly hasEnded = (id: string) => hasEnded(() => this.#access.client(), id, this.#callDeps());

  async list(): Promise<readonly ListedSandbox[]> {
    const client = await this.#access.client();
    const list = ({ appId }: App) => listSandboxes(client, appId, this.#deps.options.environment, this.#callDeps());
    return withApp(this.#access, list);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const live of this.#live.values()) live.core.end("this process released it");
    await Promise.allSettled([...this.#attaching.values(), this.#later.done()]);
    await this.#access.close();
  }

  #callDeps() {
    return { clock: this.#deps.clock, log: this.#deps.log, limits: this.#limits, limiter: this.#limiter };
  }

  #handlesDeps() {
    return { ...this.#callDeps(), access: this.#access, images: this.#images };
  }

  #ours(sandbox: Sandbox): ModalSandbox {
    if (sandbox instanceof ModalSandbox) return sandbox;
    throw new PluginError("snapshot_failed", `Sandbox ${sandbox.id} is not a Modal sandbox.`, { retryable: false });
  }
}
