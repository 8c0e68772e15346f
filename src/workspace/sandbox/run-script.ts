import type { ExitStatus, OutputChunk, Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";

export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ScriptBounds {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly workdir?: string;
  /** Variables besides the sandbox's own; absent = messages in English. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Whether it writes nothing to stderr that counts; absent = no. */
  readonly oneStream?: boolean;
}

/** The script ran into its time limit. A second try would most likely do the same. */
export class ScriptTimeoutError extends Error {
  override readonly name = "ScriptTimeoutError";
}

const MAX_OUTPUT = 1024 * 1024;

/**
 * Runs one of our shell scripts in a sandbox until it exits or reaches its time limit. Its output is untrusted, as the
 * programs it runs are the sandbox's; what exceeds `MAX_OUTPUT` bytes per stream is dropped.
 * @returns output with one character per byte
 * @throws Error when the script was killed or its exit is unknown; ScriptTimeoutError; PluginError `sandbox_lost`
 */
export async function runScript(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  bounds: ScriptBounds,
): Promise<CommandEnd> {
  const running = followScript(sandbox, script, args, bounds);
  const output = { stdout: "", stderr: "" };
  for (;;) {
    const next = await running.next();
    if (next.done) return { code: next.value, ...output };
    const { stream, bytes } = next.value;
    if (output[stream].length < MAX_OUTPUT) output[stream] += Buffer.from(bytes).toString("latin1");
  }
}

/**
 * Like `runScript`, but yields output as it arrives and returns the exit code. Ending the iteration kills the script.
 * @throws Error, ScriptTimeoutError, PluginError `sandbox_lost`
 */
export async function* followScript(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  { clock, limitMs, workdir, env = { LC_ALL: "C" }, signal, oneStream = false }: ScriptBounds,
): AsyncGenerator<OutputChunk, number> {
  if (signal?.aborted) throw new Error("it was cancelled");
  const argv = ["/bin/sh", "-c", script, "workspace", ...args];
  const child = await sandbox.start({ argv, workdir: workdir ?? "/", env, noInput: true, oneStream });
  let killedFor: Error | null = null;
  let hasExited = false;
  const kill = (why: Error) => {
    killedFor ??= why;
    void child.signal("SIGKILL").catch(() => {});
  };
  const cancel = clock.after(limitMs, () => kill(new ScriptTimeoutError(`it took longer than ${limitMs / 1000} s`)));
  const abort = () => kill(new Error("it was cancelled"));
  signal?.addEventListener("abort", abort);
  try {
    await child.closeInput();
    yield* child.output;
    const exit = await child.exit;
    hasExited = exit.kind !== "unknown";
    return toCode(exit, killedFor);
  } finally {
    cancel();
    signal?.removeEventListener("abort", abort);
    if (!hasExited) kill(new Error("its output is no longer read"));
  }
}

function toCode(exit: ExitStatus, killedFor: Error | null): number {
  if (killedFor !== null) throw killedFor;
  if (exit.kind === "exited") return exit.code;
  throw new Error(exit.kind === "signalled" ? `it was killed by ${exit.signal}` : exit.reason);
}
