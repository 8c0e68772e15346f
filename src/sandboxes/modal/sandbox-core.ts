import type { Sandbox as ModalSandbox } from "modal";
import { withOwnPath } from "../../config/own-path.ts";
import type { Clock } from "../../shared/clock.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { type Within, within } from "../../shared/time-limit.ts";
import { FileError } from "../port.ts";
import { UnreachableError } from "../unreachable.ts";
import { type Ended, execOnce } from "./exec-once.ts";
import type { ModalLimits } from "./limits.ts";
import { isAway, isNoMore, kindOf, messageOf, nameOf } from "./modal-error.ts";
import { endStream } from "./output-reader.ts";
import type { WaitingShell } from "./waiting-shell.ts";
import { RUN_DIR } from "./wrapper-script.ts";

export interface SandboxCoreParts {
  readonly sandbox: ModalSandbox;
  /** Makes a new handle of the same sandbox, without cached tokens. */
  readonly findAgain: () => Promise<ModalSandbox>;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
  readonly limits: ModalLimits;
  readonly lifetimeMs: number;
  /** Whether the image has `script`. */
  readonly hasScript: boolean;
  /** What waits for the first command; null = nothing. */
  readonly shell: WaitingShell | null;
  /** The image's PATH. */
  readonly path: string;
  /** Variables of every command. */
  readonly env: Readonly<Record<string, string>>;
}

/** What commands, files and snapshots of one sandbox share: its handle, whether it is live, and what its failures mean. */
export class SandboxCore {
  readonly id: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
  readonly limits: ModalLimits;
  readonly lifetimeMs: number;
  readonly hasScript: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly ended: Promise<Failure | null>;
  /** Resolves when the sandbox has ended or is being ended by us, so that nothing more comes from it. */
  readonly closing: Promise<void>;
  #sandbox: ModalSandbox;
  #shell: WaitingShell | null;
  /** Earlier handles, through which commands may still be reading their output. */
  readonly #former: ModalSandbox[] = [];
  readonly #findAgain: () => Promise<ModalSandbox>;
  #endReason: string | null = null;
  #settleEnded: (failure: Failure | null) => void = () => {};
  #settleClosing: () => void = () => {};
  #stopWatch: () => void = () => {};
  #closed = false;
  #isBeingTerminated = false;

  constructor(parts: SandboxCoreParts) {
    this.id = parts.sandbox.sandboxId;
    this.#sandbox = parts.sandbox;
    this.#shell = parts.shell;
    this.#findAgain = parts.findAgain;
    this.clock = parts.clock;
    this.log = parts.log;
    this.ids = parts.ids;
    this.limits = parts.limits;
    this.lifetimeMs = parts.lifetimeMs;
    this.hasScript = parts.hasScript;
    this.env = withOwnPath(parts.env, parts.path);
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve));
    this.closing = new Promise((resolve) => (this.#settleClosing = resolve));
    void this.closing.then(() => {
      const unused = this.takeShell();
      if (unused) void endStream(unused.stdout, this.clock);
    });
    this.#watch();
  }

  /** Why the sandbox has ended, as far as known without asking Modal; null = not known to have ended. */
  get endReason(): string | null {
    return this.#endReason;
  }

  /** @throws PluginError `sandbox_lost` when it is known to have ended */
  requireLive(): void {
    if (this.#endReason === null) return;
    throw new PluginError("sandbox_lost", `Sandbox ${this.id} has ended: ${this.#endReason}.`, { retryable: false });
  }

  /** We are terminating the sandbox: if its end is noticed before the call returns, that is no loss. */
  set isBeingTerminated(value: boolean) {
    this.#isBeingTerminated = value;
  }

  /** The sandbox is being ended by us: nothing more can be done in it. `ended` resolves when it has. */
  beginEnd(why: string): void {
    this.#endReason ??= why;
    this.#stopWatch();
    this.#settleClosing();
  }

  /** Marks the sandbox as ended by us or released. @param failure what `ended` resolves with */
  end(why: string, failure: Failure | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endReason = why;
    this.#stopWatch();
    this.#settleClosing();
    this.#settleEnded(failure);
  }

  /**
   * Makes a call on the sandbox. When its router refuses the token, the call is repeated through a new handle, which gets a
   * new token; the SDK itself keeps a token until it is about to expire. @throws what the SDK throws
   */
  async call<T>(work: (sandbox: ModalSandbox) => Promise<T>): Promise<T> {
    const sandbox = this.#sandbox;
    try {
      return await work(sandbox);
    } catch (error) {
      if (kindOf(error) !== "unauthorized") throw error;
      await this.#renew(sandbox);
      return await work(this.#sandbox);
    }
  }

  async #renew(refused: ModalSandbox): Promise<void> {
    const found = this.#sandbox === refused ? await this.#findAgain() : null;
    if (found === null || this.#sandbox !== refused) return found?.detach(); // another call has renewed it already
    this.log("info", "A sandbox refused its token; asking for a new one", { sandboxID: this.id });
    this.#former.push(refused);
    this.#sandbox = found;
  }

  /** The shell that waits for a command; null = none does, or another command has it. */
  takeShell(): WaitingShell | null {
    const shell = this.#shell;
    this.#shell = null;
    return shell;
  }

  /** Closes its connections. */
  detach(): void {
    for (const sandbox of [this.#sandbox, ...this.#former]) sandbox.detach();
  }

  /** Runs a short command of our own. @throws what the SDK throws */
  execOnce(argv: readonly string[], doing: string, limitMs: number = this.limits.execMs): Promise<Ended> {
    const limit = { clock: this.clock, limitMs, doing: `${doing} in sandbox ${this.id}` };
    return this.call((sandbox) => execOnce(sandbox, argv, limit));
  }

  /** The command line that runs a script; a script longer than `maxBytes` is put into a file first. */
  async shipScript(script: string, maxBytes: number, id: string): Promise<string[]> {
    if (Buffer.byteLength(script) <= maxBytes) return ["/bin/sh", "-c", script, "command"];
    return ["/bin/sh", await this.shipFile(`rm -f ${RUN_DIR}/${id}.sh\n${script}`, `${id}.sh`)];
  }

  /** Writes a file of ours with this text. @returns its path @throws PluginError `sandbox_lost`, FileError */
  async shipFile(text: string, name: string): Promise<string> {
    const path = `${RUN_DIR}/${name}`;
    const { clock, limits } = this;
    const doing = `Shipping a command to sandbox ${this.id}`;
    await this.write(Buffer.from(text), path, { clock, limitMs: limits.fileMs, doing }).catch(this.rethrowTranslated);
    return path;
  }

  /** Writes a file. @throws what the SDK throws */
  async write(bytes: Uint8Array, path: string, limit: Within<void>): Promise<void> {
    const sandbox = this.#sandbox;
    const attempt = () => within(this.#sandbox.filesystem.writeBytes(bytes, path), limit);
    try {
      await attempt();
    } catch (error) {
      if (nameOf(error) !== "SandboxFilesystemError") throw error;
      // The SDK does not say why. If the token was refused, running a command gets a new one, and writing is tried again.
      await this.execOnce(["true"], `Checking why ${path} was not written`).catch(() => {});
      if (this.#sandbox === sandbox) throw error;
      await attempt();
    }
  }

  /** Asks Modal why the sandbox has ended; null while it is live, and when Modal cannot be reached. */
  async findEndReason(): Promise<string | null> {
    if (this.#endReason !== null) return this.#endReason;
    const { clock, limits } = this;
    try {
      const code = await within(this.#sandbox.poll(), {
        clock,
        limitMs: limits.callMs,
        doing: `Asking for sandbox ${this.id}`,
      });
      if (code !== null) this.#lose(reasonOf(code));
    } catch (error) {
      if (isNoMore(kindOf(error))) this.#lose("Modal does not know it any more");
    }
    return this.#endReason;
  }

  /** The error of the port that a failed call on this sandbox means. */
  async translate(error: unknown): Promise<PluginError | FileError> {
    if (error instanceof PluginError || error instanceof FileError) return error;
    const kind = kindOf(error);
    const why = kind === "invalid" ? null : await this.findEndReason();
    if (why !== null)
      return new PluginError("sandbox_lost", `Sandbox ${this.id} has ended: ${why}.`, {
        cause: error,
        retryable: false,
      });
    if (kind === "invalid")
      return new FileError("file_failed", `Modal refused the command: ${messageOf(error)}`, { cause: error });
    const message = `Sandbox ${this.id} could not be reached: ${messageOf(error)}`;
    if (isAway(error)) return new UnreachableError("sandbox_lost", message, { cause: error });
    return new PluginError("sandbox_lost", message, {
      cause: error,
      retryable: kind === "other" ? null : true,
    });
  }

  readonly rethrowTranslated = async (error: unknown): Promise<never> => {
    throw await this.translate(error);
  };

  #lose(why: string): void {
    if (this.#isBeingTerminated) this.end("it was terminated");
    else this.end(why, { code: "sandbox_lost", message: `Sandbox ${this.id} has ended: ${why}.`, retryable: true });
  }

  #watch(): void {
    this.#stopWatch = this.clock.after(this.limits.pollMs, () => {
      void this.findEndReason().then(() => {
        if (!this.#closed && this.#endReason === null) this.#watch();
      });
    });
  }
}

/** @source Modal: 124 = lifetime over; 137 = terminated, by anyone or by the system. A preemption's code is not documented */
const reasonOf = (code: number): string =>
  code === 124
    ? "its lifetime is over"
    : code === 137
      ? "it was preempted, was terminated by someone else, was idle for too long, or ran out of memory"
      : `its main process ended with ${code}`;
