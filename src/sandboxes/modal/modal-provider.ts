import type { Image, ModalClient, Sandbox as SdkSandbox } from "modal";
import type { Options } from "../../config/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import { LabError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type {
  ListedSandbox,
  MachineSpec,
  Sandbox,
  SandboxGpu,
  SandboxPort,
  SandboxProvider,
  SandboxSpec,
} from "../port.ts";
import { type CreateDeps, createSandbox } from "./create.ts";
import { createFailure } from "./create-failure.ts";
import { findMounts, lifetimeOf, missingMounts, NO_WISHES } from "./create-params.ts";
import type { Credentials } from "./credentials.ts";
import { AbandonedError, within } from "./deadline.ts";
import { MAX_LIFETIME_MS, toTtlMs } from "./durations.ts";
import { expired, ImageBook } from "./image.ts";
import { DEFAULT_LIMITS, type ModalLimits } from "./limits.ts";
import { listSandboxes } from "./listing.ts";
import { ModalAccess } from "./modal-client.ts";
import { isRetryable, kindOf, wordsOf } from "./modal-error.ts";
import { ModalSandbox } from "./modal-sandbox.ts";
import { createModalSnapshots, restoreDirectory } from "./modal-snapshots.ts";
import { type Prepared, prepareSandbox, readDevices } from "./prepare.ts";
import { SandboxCore } from "./sandbox-core.ts";
import { parseSnapshotID } from "./snapshot-id.ts";
import { endSandbox, reportStray } from "./strays.ts";

export interface ModalProviderDeps {
  readonly options: Options["modal"];
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly log: Log;
  /** Unique, of `[A-Za-z0-9_-]`. */
  readonly ids: () => string;
  readonly limits?: Partial<ModalLimits>;
  /** In place of `import("modal")`. */
  readonly load?: () => Promise<unknown>;
}

/** Sandboxes on Modal. Nothing is loaded or asked before the first call. */
export const createModalProvider = (deps: ModalProviderDeps): SandboxProvider => new ModalProvider(deps);

const SANDBOX_ID = /^[A-Za-z0-9_-]{1,128}$/;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const MIN_PREPARE_MS = 5_000;
/** Ids of the older backend, where the GPUs are. */
const OLDER_ID = /^sb-[0-9A-Za-z]{22}$/;

/*
 * M1: a sandbox that was created is returned, or ended; nothing in between. M2: `#live` holds one handle per id, so that
 * a sandbox has one watch and one connection.
 */
class ModalProvider implements SandboxProvider {
  readonly name = "modal";
  readonly snapshots;
  readonly #deps: ModalProviderDeps;
  readonly #limits: ModalLimits;
  readonly #access: ModalAccess;
  readonly #images: ImageBook;
  readonly #live = new Map<string, ModalSandbox>();
  readonly #attaching = new Map<string, Promise<ModalSandbox>>();
  readonly #later = new Set<Promise<unknown>>();
  #closed = false;

  constructor(deps: ModalProviderDeps) {
    this.#deps = deps;
    const { createTimeoutSeconds, snapshotTimeoutSeconds, snapshotTtlDays } = deps.options;
    this.#limits = {
      ...DEFAULT_LIMITS,
      createMs: createTimeoutSeconds * 1000,
      snapshotMs: snapshotTimeoutSeconds * 1000,
      ...deps.limits,
    };
    const shared = { ...deps, limits: this.#limits, later: (work: Promise<unknown>) => this.#finishLater(work) };
    this.#access = new ModalAccess(shared);
    this.#images = new ImageBook(shared);
    this.snapshots = createModalSnapshots({
      ...shared,
      client: () => this.#access.client(),
      ttlMs: toTtlMs(snapshotTtlDays),
      ours: (sandbox) => this.#ours(sandbox),
    });
  }

  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    // The limit is inside, step by step; here only the caller's own patience counts.
    return within(this.#make(spec, signal), {
      clock: this.#deps.clock,
      limitMs: Number.MAX_SAFE_INTEGER,
      doing: `Creating sandbox ${spec.name}`,
      signal,
      onLate: (late) => this.#finishLater(late.terminate()),
    }).catch((error: unknown) => {
      if (error instanceof AbandonedError)
        throw new LabError("cancelled", `The creation of sandbox ${spec.name} was cancelled.`, {
          cause: error,
          retryable: false,
        });
      throw error;
    });
  }

  async #make(spec: SandboxSpec, signal?: AbortSignal): Promise<ModalSandbox> {
    if (this.#closed)
      throw new LabError("sandbox_create_failed", "The Modal provider is closed.", { retryable: false });
    if (!NAME.test(spec.name))
      throw new LabError(
        "sandbox_create_failed",
        `Modal cannot name a sandbox "${spec.name}": at most 64 letters, digits, ".", "_" and "-".`,
        { retryable: false },
      );
    const { clock, credentials, options } = this.#deps;
    const startedAt = clock.now();
    const machine = spec.machine ?? NO_WISHES;
    const client = await this.#access.client();
    const app = await this.#access.app();
    const image = await this.#imageFor(client, spec, machine);
    const mounts = await within(findMounts(client, machine), {
      clock,
      limitMs: this.#limits.callMs,
      doing: "Looking up secrets and volumes",
      signal,
    }).catch((error: unknown) => {
      throw createFailure(error, {
        doing: `look up the secrets and volumes of sandbox ${spec.name}`,
        credentials,
        missing: missingMounts(machine),
        isLookup: true,
      });
    });
    const deps: CreateDeps = {
      ...this.#stray(),
      client,
      app,
      environment: options.environment,
      credentials,
      later: (work) => this.#finishLater(work),
    };
    const { sandbox, gpu } = await createSandbox(deps, spec, image, mounts, signal).catch((error: unknown) => {
      throw spec.snapshotID !== null && error instanceof LabError && kindOf(error.cause) === "gone"
        ? expired(spec.snapshotID, error)
        : error;
    });
    try {
      const limitMs = Math.max(MIN_PREPARE_MS, startedAt + this.#limits.createMs - clock.now());
      const target = { ...this.#deps, sandbox };
      const [prepared, devices, ports] = await Promise.all([
        prepareSandbox(target, spec.workdir, limitMs, signal),
        gpu === null ? null : readDevices(target, gpu, this.#limits.callMs),
        this.#portsOf(sandbox, machine),
      ]);
      if (spec.snapshotID !== null)
        await restoreDirectory(client, sandbox, spec.snapshotID, this.#stray(), this.#deps.ids());
      if (this.#closed)
        throw new LabError("sandbox_create_failed", "The Modal provider was closed meanwhile.", { retryable: false });
      return this.#hold(sandbox, prepared, { lifetimeMs: lifetimeOf(machine), gpu: devices, ports });
    } catch (error) {
      this.#finishLater(endSandbox(sandbox, this.#stray()).catch(reportStray(this.#deps.log, spec.name))); // M1
      throw createFailure(error, { doing: `prepare sandbox ${spec.name}`, credentials });
    }
  }

  #imageFor(client: ModalClient, spec: SandboxSpec, machine: MachineSpec): Promise<Image> {
    const whole = spec.snapshotID !== null && parseSnapshotID(spec.snapshotID)?.path == null;
    if (whole && spec.snapshotID !== null) return this.#images.ofSnapshot(client, spec.snapshotID);
    return this.#access.app().then(async (app) => {
      // Also a directory's snapshot is looked for before a sandbox is paid for.
      if (spec.snapshotID !== null) await this.#images.ofSnapshot(client, spec.snapshotID);
      return this.#images.built(client, app, machine.image);
    });
  }

  async #portsOf(sandbox: SdkSandbox, machine: MachineSpec): Promise<readonly SandboxPort[]> {
    if (machine.ports.length === 0) return [];
    const { clock } = this.#deps;
    const tunnels = await within(sandbox.tunnels(this.#limits.callMs), {
      clock,
      limitMs: this.#limits.callMs * 2,
      doing: "Waiting for tunnels",
    });
    return machine.ports.flatMap((port) => (tunnels[port] ? { port, url: tunnels[port].url } : []));
  }

  async attach(sandboxID: string): Promise<Sandbox> {
    const live = this.#live.get(sandboxID);
    if (live) return live;
    const pending = this.#attaching.get(sandboxID) ?? this.#find(sandboxID);
    this.#attaching.set(sandboxID, pending);
    return pending.finally(() => this.#attaching.delete(sandboxID));
  }

  async #find(sandboxID: string): Promise<ModalSandbox> {
    const gone = (why: string, cause?: unknown) =>
      new LabError("sandbox_lost", `Sandbox ${sandboxID} no longer exists: ${why}.`, { cause, retryable: false });
    if (!SANDBOX_ID.test(sandboxID)) throw gone("it is no id of a sandbox");
    const { clock } = this.#deps;
    const client = await this.#access.client();
    const sandbox = await client.sandboxes.fromId(sandboxID);
    try {
      const code = await within(sandbox.poll(), {
        clock,
        limitMs: this.#limits.callMs,
        doing: `Asking for sandbox ${sandboxID}`,
      });
      if (code !== null) throw gone(`it ended with ${code}`);
      const target = { ...this.#deps, sandbox };
      const [prepared, gpu] = await Promise.all([
        prepareSandbox(target, null, this.#limits.startMs),
        OLDER_ID.test(sandboxID) ? readDevices(target, null, this.#limits.callMs) : null,
      ]);
      return this.#hold(sandbox, prepared, { lifetimeMs: MAX_LIFETIME_MS, gpu, ports: [] });
    } catch (error) {
      sandbox.detach();
      if (error instanceof LabError) throw error;
      const kind = kindOf(error);
      if (kind === "gone" || kind === "invalid") throw gone(wordsOf(error), error);
      throw new LabError(
        "sandbox_lost",
        `Sandbox ${sandboxID} could not be reached, it may still live: ${wordsOf(error)}`,
        { cause: error, retryable: isRetryable(kind) ?? true },
      );
    }
  }

  #hold(
    sandbox: SdkSandbox,
    { workdir, home, hasScript }: Prepared,
    more: { lifetimeMs: number; gpu: SandboxGpu | null; ports: readonly SandboxPort[] },
  ): ModalSandbox {
    const core = new SandboxCore({
      ...this.#deps,
      limits: this.#limits,
      sandbox,
      hasScript,
      lifetimeMs: more.lifetimeMs,
    });
    const held = new ModalSandbox({
      core,
      workdir,
      home,
      notes: [],
      gpu: more.gpu,
      ports: more.ports,
      terminate: () => this.terminate(core.id),
    });
    this.#live.set(core.id, held); // M2
    void core.ended.then(() => {
      if (this.#live.get(core.id) === held) this.#live.delete(core.id);
      sandbox.detach();
    });
    return held;
  }

  async terminate(sandboxID: string): Promise<void> {
    if (!SANDBOX_ID.test(sandboxID)) return;
    await this.#attaching.get(sandboxID)?.catch(() => {});
    const held = this.#live.get(sandboxID);
    const client = await this.#access.client();
    // A handle of its own: the held one may be detached while commands still read their last output.
    const sandbox = await client.sandboxes.fromId(sandboxID);
    await endSandbox(sandbox, this.#stray()).catch((error: unknown) => {
      throw new LabError("sandbox_lost", `Sandbox ${sandboxID} could not be ended: ${wordsOf(error)}`, {
        cause: error,
        retryable: isRetryable(kindOf(error)),
      });
    });
    held?.core.end("it was terminated");
  }

  async list(): Promise<readonly ListedSandbox[]> {
    const client = await this.#access.client();
    return listSandboxes(client, (await this.#access.app()).appId, this.#deps.options.environment, this.#stray());
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const held of this.#live.values()) held.core.end("this process let go of it");
    await Promise.allSettled([...this.#attaching.values(), ...this.#later]);
    await this.#access.close();
  }

  #stray() {
    return { clock: this.#deps.clock, log: this.#deps.log, limits: this.#limits };
  }

  #finishLater(work: Promise<unknown>): void {
    const done = work.catch(reportStray(this.#deps.log, "late")).finally(() => this.#later.delete(done));
    this.#later.add(done);
  }

  #ours(sandbox: Sandbox): ModalSandbox {
    if (sandbox instanceof ModalSandbox) return sandbox;
    throw new LabError("snapshot_failed", `Sandbox ${sandbox.id} is not one of Modal's.`, { retryable: false });
  }
}
