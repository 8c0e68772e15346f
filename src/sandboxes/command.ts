/* Part of the port (`port.ts`): a command in a sandbox, and the error of a file in one. */

export interface ExecRequest {
  /** Program and arguments. No shell interprets them. */
  readonly argv: readonly string[];
  /** Absolute, or relative to the sandbox's workdir, which is the default. */
  readonly workdir?: string;
  /** Variables in addition to the sandbox's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gives the command a terminal, which merges stdout and stderr. */
  readonly tty?: boolean;
  /** Keeps the complete output in a file of the sandbox; its path is `logPath`. */
  readonly keepLog?: boolean;
  /** Whether nothing will be written to its input, which it then finds at its end; absent = no. */
  readonly noInput?: boolean;
  /** Whether it writes to stdout only, like a shell that merges its streams: then a provider need not follow both; absent = no. */
  readonly oneStream?: boolean;
}

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** How a command ended. `unknown`: its status could not be determined, for the given reason; it is never guessed. */
export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "unknown"; readonly reason: string };

export const SANDBOX_SIGNALS = [
  "SIGINT",
  "SIGTERM",
  "SIGKILL",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGQUIT",
  "SIGSTOP",
  "SIGCONT",
] as const;

export type SandboxSignal = (typeof SANDBOX_SIGNALS)[number];

export interface SandboxProcess {
  /** Identifies the process within its sandbox, e.g. its pid there. */
  readonly id: string;
  /** Path in the sandbox of the file with the complete output; null unless `keepLog` was set. */
  readonly logPath: string | null;
  /**
   * Output in order of arrival; can be read once. Ends when the command has ended and its pipes are drained. A child that
   * outlives the command and keeps the pipes open is waited for a fraction of a second: it may be the `tee` of a script's
   * `exec > >(tee log)`, which has the last lines. While the sandbox cannot be reached, nothing
   * arrives and nothing ends: whoever waits for the end for a limited time sends SIGKILL then.
   */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when the command has ended, or nothing more can be learned of it. Never rejects. */
  readonly exit: Promise<ExitStatus>;
  /** Writes to standard input. Rejects when the command has closed it. */
  write(input: Uint8Array): Promise<void>;
  closeInput(): Promise<void>;
  /** Signals the whole process group. No-op if the process has ended. */
  signal(signal: SandboxSignal): Promise<void>;
  /**
   * For a command that was signalled and has ended: waits for the rest of its process group, which may ignore the signal, and
   * kills what is left after `graceMs`, which the result says. No-op for a command that was never signalled.
   */
  endGroup(graceMs: number): Promise<boolean>;
  /**
   * For a command that has ended: whether processes that it started run on, and not only for a moment; maybe also those of
   * another command that has ended. false where nobody can tell.
   */
  leavesRunning(): Promise<boolean>;
}

export type FileErrorCode = "file_not_found" | "is_directory" | "permission_denied" | "file_failed";

/** A file operation that the sandbox's own file system refused. The model reads the message and can act on it. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly code: FileErrorCode;

  constructor(code: FileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
