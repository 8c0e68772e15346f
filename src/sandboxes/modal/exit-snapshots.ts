import type { ModalClient, SandboxCreateParams } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { SandboxSpec, TakenSnapshot } from "../port.ts";
import { isSandboxID } from "./attach.ts";
import { wholeSecondsMs } from "./durations.ts";
import type { CallDeps } from "./limits.ts";
import { isRetryable, kindOf, messageOf, nameOf } from "./modal-error.ts";
import { formatSnapshotID } from "./snapshot-id.ts";

/** Our time limit passes later than the call's own, whose message is more precise. */
const MARGIN_MS = 15_000;
/** @source Modal JS SDK 0.11.1: snapshots of file systems expire after 30 days unless asked otherwise; this one cannot be asked */
const LIFE_MS = 30 * 86_400_000;
const OPTION = { enable_exit_snapshot: true } as const;

type Machine = "with a GPU" | "without a GPU";
const machineOf = ({ machine }: SandboxSpec): Machine => (machine?.gpu ? "with a GPU" : "without a GPU");

/**
 * The snapshots that Modal takes of sandboxes as they end, by themselves or not. They are experimental, and one of Modal's
 * pages says that sandboxes without a GPU have none: where the service refuses the option, sandboxes are created without it.
 * @source Modal JS SDK 0.11.1, Sandbox.experimentalGetExitSnapshot
 */
export class ExitSnapshots {
  readonly #deps: CallDeps & { readonly client: () => Promise<ModalClient> };
  readonly #refused = new Set<Machine>();
  /** Machines whose refusal no sandbox's notes have told yet. */
  readonly #untold = new Set<Machine>();

  constructor(deps: CallDeps & { readonly client: () => Promise<ModalClient> }) {
    this.#deps = deps;
  }

  /** Calls `create` with the option, and once more without it if the option may be what was refused. */
  async during<T>(spec: SandboxSpec, create: (params: SandboxCreateParams) => Promise<T>): Promise<T> {
    const machine = machineOf(spec);
    if (!spec.keepsLastFiles || this.#refused.has(machine)) return create({});
    try {
      return await create({ experimentalOptions: OPTION });
    } catch (error) {
      if (!mayMeanOption(error)) throw error;
      // If this fails too, the option was not the reason, and the first error is the one to tell.
      const made = await create({}).catch(() => Promise.reject(error));
      if (!this.#refused.has(machine)) this.#untold.add(machine);
      this.#refused.add(machine);
      this.#deps.log("warn", "Modal refuses exit snapshots", { machine, reason: messageOf(error) });
      return made;
    }
  }

  /** What a new sandbox's notes say of this: that its kind has none, told once. */
  notesFor(spec: SandboxSpec): readonly string[] {
    const machine = machineOf(spec);
    if (!spec.keepsLastFiles || !this.#untold.delete(machine)) return [];
    return [
      `Modal keeps no last files of sandboxes ${machine}: if one is lost, its job goes on from its newest snapshot or checkpoint.`,
    ];
  }

  /** @returns null = Modal has none, and will have none @throws PluginError `snapshot_failed` */
  async ofLost(sandboxID: string): Promise<TakenSnapshot | null> {
    if (!isSandboxID(sandboxID)) return null;
    const { clock, limits, log } = this.#deps;
    const sandbox = await (await this.#deps.client()).sandboxes.fromId(sandboxID);
    const timeoutMs = wholeSecondsMs(limits.snapshotMs);
    try {
      const image = await within(sandbox.experimentalGetExitSnapshot({ timeoutMs }), {
        clock,
        limitMs: limits.snapshotMs + MARGIN_MS,
        doing: `Waiting for the last files of sandbox ${sandboxID}`,
      });
      const id = formatSnapshotID({ imageID: image.imageId, path: null });
      return { id, sizeBytes: null, files: null, leftOut: [], expiresAt: clock.now() + LIFE_MS };
    } catch (error) {
      const kind = kindOf(error);
      log("warn", "A lost sandbox's last files could not be had", { sandboxID, reason: messageOf(error) });
      if (kind === "gone" || kind === "invalid" || NONE.has(nameOf(error))) return null;
      const message = `The last files of sandbox ${sandboxID} could not be had: ${messageOf(error)}`;
      throw new PluginError("snapshot_failed", message, { cause: error, retryable: isRetryable(kind) });
    } finally {
      sandbox.detach();
    }
  }
}

/** Classes that say that there is no snapshot and none will come. */
const NONE: ReadonlySet<string> = new Set(["SnapshotCreationError", "ExecutionError"]);

/** Which code an unknown or forbidden option is refused with is not documented. */
// Most refusals name what they mean, such as a region: those must not be taken for one of the option.
function mayMeanOption(error: unknown): boolean {
  const said = messageOf(error);
  return (
    ["invalid", "other", "gone"].includes(kindOf(error)) &&
    (said.trim() === "" || /snapshot|experiment|option|support|implement/i.test(said))
  );
}
