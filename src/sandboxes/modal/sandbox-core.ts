import type { Sandbox as ModalSandbox } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { type Failure, LabError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { FileError } from "../port.ts";
import { within } from "./deadline.ts";
import { type Ended, execOnce } from "./exec-once.ts";
import type { ModalLimits } from "./limits.ts";
import { kindOf, wordsOf } from "./modal-error.ts";
import { RUN_DIR } from "./wrapper-script.ts";

export interface SandboxCoreParts {
  readonly sandbox: ModalSandbox;
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
  readonly sandbox: ModalSandbox;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
  readonly limits: ModalLimits;
  readonly lifetimeMs: number;
  readonly hasScript: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly ended: Promise<Failure | null>;
  #why: string | null = null;
  #settleEnded: (failure: Failure | null) => void = () => {};
  #stopWatch: () => void = () => {};
  #closed = false;

  constructor(parts: SandboxCoreParts) {
    this.id = parts.sandbox.sandboxId;
    this.sandbox = parts.sandbox;
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

  execOnce(argv: readonly string[], doing: string, limitMs: number = this.limits.execMs): Promise<Ended> {
    return execOnce(this.sandbox, argv, { clock: this.clock, limitMs, doing: `${doing} in sandbox ${this.id}` });
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
    const writing = this.sandbox.filesystem.writeBytes(Buffer.from(text), path);
    const doing = `Shipping a command to sandbox ${this.id}`;
    await within(writing, { clock, limitMs: limits.fileMs, doing }).catch(this.rethrowLost);
    return path;
  }

  /** Why the sandbox is no more, by asking; null while it lives or nobody can tell. */
  async whyEnded(): Promise<string | null> {
    if (this.#why !== null) return this.#why;
    const { clock, limits } = this;
    try {
      const code = await within(this.sandbox.poll(), {
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
  async toLost(error: unknown): Promise<LabError | FileError> {
    if (error instanceof LabError || error instanceof FileError) return error;
    const kind = kindOf(error);
    const why = kind === "invalid" ? null : await this.whyEnded();
    if (why !== null)
      return new LabError("sandbox_lost", `Sandbox ${this.id} has ended: ${why}.`, { cause: error, retryable: false });
    if (kind === "invalid")
      return new FileError("file_failed", `Modal refused the command: ${wordsOf(error)}`, { cause: error });
    return new LabError("sandbox_lost", `Sandbox ${this.id} could not be reached: ${wordsOf(error)}`, {
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
