import type { Sandbox as ModalSandbox } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { type Within, within } from "../../shared/deadline.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { FileError } from "../port.ts";
import { type Ended, execOnce } from "./exec-once.ts";
import type { ModalLimits } from "./limits.ts";
import { kindOf, nameOf, wordsOf } from "./modal-error.ts";
import { RUN_DIR } from "./wrapper-script.ts";

export interface SandboxCoreParts {
  readonly sandbox: ModalSandbox;
  /** A new handle of the same sandbox, which knows nothing yet. */
  readonly findAgain: () => Promise<ModalSandbox>;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
  readonly limits: ModalLimits;
  readonly lifetimeMs: number;
  readonly hasScript: boolean;
  /** Variables of every command. */
  readonly env: Readonly<Record<string, string>>;
}

/** What everything about one sandbox needs: its handle, whether it lives, and what its failures mean. */
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
  #sandbox: ModalSandbox;
  /** Handles of before; commands may still read their output through them. */
  readonly #former: ModalSandbox[] = [];
  readonly #findAgain: () => Promise<ModalSandbox>;
  #why: string | null = null;
  #settleEnded: (failure: Failure | null) => void = () => {};
  #stopWatch: () => void = () => {};
  #closed = false;

  constructor(parts: SandboxCoreParts) {
    this.id = parts.sandbox.sandboxId;
    this.#sandbox = parts.sandbox;
    this.#findAgain = parts.findAgain;
    this.clock = parts.clock;
    this.log = parts.log;
    this.ids = parts.ids;
    this.limits = parts.limits;
    this.lifetimeMs = parts.lifetimeMs;
    this.hasScript = parts.hasScript;
    this.env = parts.env;
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve));
    this.#watch();
  }

  /** Why it is no more, as far as is known without asking. */
  get why(): string | null {
    return this.#why;
  }

  /** Marks it ended by ourselves, or let go of. */
  end(why: string, failure: Failure | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#why = why;
    this.#stopWatch();
    this.#settleEnded(failure);
  }

  /**
   * A call on the sandbox. When its router refuses the token the call is made again through a new handle, which asks
   * for a new one: the SDK keeps a token until its time is nearly over. Rejects with what the SDK throws.
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
    if (found === null || this.#sandbox !== refused) return found?.detach(); // another call was first
    this.log("info", "A sandbox refused its token; a new one is asked for", { sandboxID: this.id });
    this.#former.push(refused);
    this.#sandbox = found;
  }

  /** Lets go of its connections. */
  detach(): void {
    for (const sandbox of [this.#sandbox, ...this.#former]) sandbox.detach();
  }

  execOnce(argv: readonly string[], doing: string, limitMs: number = this.limits.execMs): Promise<Ended> {
    const limit = { clock: this.clock, limitMs, doing: `${doing} in sandbox ${this.id}` };
    return this.call((sandbox) => execOnce(sandbox, argv, limit));
  }

  /** The command line that runs a script: the script itself, or a file it was shipped in when it is too long for one. */
  async shipScript(script: string, maxBytes: number, id: string): Promise<string[]> {
    if (Buffer.byteLength(script) <= maxBytes) return ["/bin/sh", "-c", script, "command"];
    return ["/bin/sh", await this.shipFile(`rm -f ${RUN_DIR}/${id}.sh\n${script}`, `${id}.sh`)];
  }

  /** @returns the path of a file of ours with that text */
  async shipFile(text: string, name: string): Promise<string> {
    const path = `${RUN_DIR}/${name}`;
    const { clock, limits } = this;
    const doing = `Shipping a command to sandbox ${this.id}`;
    await this.write(Buffer.from(text), path, { clock, limitMs: limits.fileMs, doing }).catch(this.rethrowLost);
    return path;
  }

  /** Writes a file. Rejects with what the SDK throws. */
  async write(bytes: Uint8Array, path: string, limit: Within<void>): Promise<void> {
    const sandbox = this.#sandbox;
    const attempt = () => within(this.#sandbox.filesystem.writeBytes(bytes, path), limit);
    try {
      await attempt();
    } catch (error) {
      if (nameOf(error) !== "SandboxFilesystemError") throw error;
      // The SDK does not say why. A command of ours says whether it was the token, and gets a new one.
      await this.execOnce(["true"], `Looking why ${path} was not written`).catch(() => {});
      if (this.#sandbox === sandbox) throw error;
      await attempt();
    }
  }

  /** Why the sandbox is no more, by asking; null while it lives or nobody can tell. */
  async whyEnded(): Promise<string | null> {
    if (this.#why !== null) return this.#why;
    const { clock, limits } = this;
    try {
      const code = await within(this.#sandbox.poll(), {
        clock,
        limitMs: limits.callMs,
        doing: `Asking for sandbox ${this.id}`,
      });
      if (code !== null) this.#lose(reasonOf(code));
    } catch (error) {
      if (kindOf(error) === "gone") this.#lose("Modal does not know it any more");
    }
    return this.#why;
  }

  /** What a failed call on this sandbox means to its user. */
  async toLost(error: unknown): Promise<PluginError | FileError> {
    if (error instanceof PluginError || error instanceof FileError) return error;
    const kind = kindOf(error);
    const why = kind === "invalid" ? null : await this.whyEnded();
    if (why !== null)
      return new PluginError("sandbox_lost", `Sandbox ${this.id} has ended: ${why}.`, {
        cause: error,
        retryable: false,
      });
    if (kind === "invalid")
      return new FileError("file_failed", `Modal refused the command: ${wordsOf(error)}`, { cause: error });
    return new PluginError("sandbox_lost", `Sandbox ${this.id} could not be reached: ${wordsOf(error)}`, {
      cause: error,
      retryable: kind === "other" ? null : true,
    });
  }

  readonly rethrowLost = async (error: unknown): Promise<never> => {
    throw await this.toLost(error);
  };

  #lose(why: string): void {
    this.end(why, { code: "sandbox_lost", message: `Sandbox ${this.id} has ended: ${why}.`, retryable: false });
  }

  #watch(): void {
    this.#stopWatch = this.clock.after(this.limits.pollMs, () => {
      void this.whyEnded().then(() => {
        if (!this.#closed) this.#watch();
      });
    });
  }
}

/** @source Modal: 124 its lifetime is over, 137 terminated, which also stands for an end by the system */
const reasonOf = (code: number): string =>
  code === 124
    ? "its lifetime is over"
    : code === 137
      ? "it was terminated, was idle for too long, or ran out of memory"
      : `its main process ended with ${code}`;
