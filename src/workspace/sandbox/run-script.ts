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
  readonly signal?: AbortSignal;
}

/** It was given all its time: trying once more would take as long. */
export class ScriptTimeoutError extends Error {
  override readonly name = "ScriptTimeoutError";
}

const MAX_OUTPUT = 1024 * 1024;

/**
 * Runs a shell script of ours in a sandbox, to its end or its time limit. What it prints is the job's word.
 * @throws Error when it was killed or its end is unknown, ScriptTimeoutError, PluginError `sandbox_lost`
 */
export async function runScript(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  bounds: ScriptBounds,
): Promise<CommandEnd> {
  const running = followScript(sandbox, script, args, bounds);
  const said = { stdout: "", stderr: "" };
  for (;;) {
    const next = await running.next();
    if (next.done) return { code: next.value, ...said };
    const { stream, bytes } = next.value;
    if (said[stream].length < MAX_OUTPUT) said[stream] += Buffer.from(bytes).toString("latin1");
  }
}

/**
 * The same with its output as it comes; returns its exit code. Whoever stops reading early ends it.
 * @throws Error, ScriptTimeoutError, PluginError `sandbox_lost`
 */
export async function* followScript(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  { clock, limitMs, workdir, signal }: ScriptBounds,
): AsyncGenerator<OutputChunk, number> {
  if (signal?.aborted) throw new Error("it is no longer wanted");
  const argv = ["/bin/sh", "-c", script, "workspace", ...args];
  const child = await sandbox.start({ argv, workdir: workdir ?? "/", env: { LC_ALL: "C" } });
  let killedFor: Error | null = null;
  let isOver = false;
  const kill = (why: Error) => {
    killedFor ??= why;
    void child.signal("SIGKILL").catch(() => {});
  };
  const cancel = clock.after(limitMs, () => kill(new ScriptTimeoutError(`it took longer than ${limitMs / 1000} s`)));
  const abort = () => kill(new Error("it is no longer wanted"));
  signal?.addEventListener("abort", abort);
  try {
    await child.closeInput();
    yield* child.output;
    const exit = await child.exit;
    isOver = true;
    return toCode(exit, killedFor);
  } finally {
    cancel();
    signal?.removeEventListener("abort", abort);
    if (!isOver) kill(new Error("nobody reads it any more"));
  }
}

function toCode(exit: ExitStatus, killedFor: Error | null): number {
  if (killedFor !== null) throw killedFor;
  if (exit.kind === "exited") return exit.code;
  throw new Error(exit.kind === "signalled" ? `it was ended by ${exit.signal}` : exit.reason);
}
