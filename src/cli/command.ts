import type { ParseArgsConfig } from "node:util";

/** A command of `opencode-parallel-agents`; each has a file, and a line in commands.ts. */
export interface Command {
  readonly name: string;
  /** What it does, in the list of commands: a verb phrase without a full stop. */
  readonly summary: string;
  /** Printed below its summary by `--help`: how it is called, with an example that works as it stands, then its options. */
  readonly help: string;
  /** Besides `--help`. */
  readonly options: NonNullable<ParseArgsConfig["options"]>;
  /** Options whose value, an address, may be left out: it is "" then. */
  readonly optionalValues?: readonly string[];
  /** Words that it takes besides its name. */
  readonly mostWords: number;
  /**
   * Loads what it needs by itself, so that `--help` and the other commands do without.
   * @returns the exit code @throws PluginError which is printed, as JSON where `--json` was given; the exit code is 1 then
   */
  run(call: CommandCall): Promise<number>;
}

export interface CommandCall {
  readonly words: readonly string[];
  /** Of an option that takes a value. */
  text(option: string): string | null;
  has(option: string): boolean;
  /** To standard output, with a line feed at the end. */
  print(text: string): void;
  /** What a person is told beside the result: to standard error. */
  tell(text: string): void;
}

/** The call was not understood; what was meant is said in the message. The exit code is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
