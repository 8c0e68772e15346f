import type { ContainerProcess, Sandbox } from "modal";
import { within } from "../../shared/time-limit.ts";
import { quote } from "../shell-quote.ts";
import type { Ended, ExecOnce } from "./exec-once.ts";
import { type ChunkReader, endStream } from "./output-reader.ts";

/** A shell in a sandbox that waits for one command line: to start that takes one write, and no further exec. */
export interface WaitingShell {
  readonly child: ContainerProcess<Uint8Array>;
  /** Of its stdout, from where the command's output begins. */
  readonly stdout: ChunkReader;
}

/** What a script prints as its last line before it becomes the shell that waits, or where it cannot. */
export const WAITING = "waiting";
export const READY = "ready";

/**
 * To be put at the end of a script: becomes a shell that waits. Not where the script stood, because a volume there could not
 * be reloaded.
 */
export const WAIT = "cd / && exec /bin/sh -s";

/** Longest line, in bytes: what one write takes. */
export const MAX_LINE_BYTES = 256 * 1024;

/** What a waiting shell reads to become a command that finds its input at its end. */
export const lineFor = (argv: readonly string[], env: Readonly<Record<string, string>>): Buffer => {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return Buffer.from(`exec env ${[...variables, ...argv].map(quote).join(" ")} </dev/null\n`);
};

/**
 * Runs a script of ours that may become a waiting shell.
 * @param lifetimeMs of the sandbox: the longest that the command may take, whole seconds
 * @throws DeadlineError, AbandonedError, and what the SDK throws
 */
export function openShell(
  sandbox: Sandbox,
  argv: readonly string[],
  lifetimeMs: number,
  { clock, limitMs, doing, signal }: Omit<ExecOnce, "isSuccess">,
): Promise<Ended & { readonly shell: WaitingShell | null }> {
  const run = async () => {
    const child = await sandbox.exec([...argv], {
      mode: "binary",
      stdout: "pipe",
      stderr: "pipe",
      timeoutMs: lifetimeMs,
    });
    const reader = child.stdout.getReader();
    let stdout: Buffer = Buffer.alloc(0);
    for (;;) {
      const { value, done } = await reader.read();
      if (value) stdout = Buffer.concat([stdout, value]);
      const said = { code: 0, stdout, stderr: new Uint8Array() };
      if (stdout.toString().endsWith(`\n${WAITING}\n`)) return { ...said, shell: { child, stdout: reader } };
      if (!done) continue;
      if (stdout.toString().endsWith(`\n${READY}\n`)) return { ...said, shell: null };
      const [stderr, code] = await Promise.all([child.stderr.readBytes(), child.wait()]);
      return { code, stdout, stderr, shell: null };
    }
  };
  const onLate = ({ shell }: { readonly shell: WaitingShell | null }) => {
    if (shell) void endStream(shell.stdout, clock);
  };
  return within(run(), { clock, limitMs, doing, signal, onLate });
}

/** @returns the process that the shell becomes @throws what the SDK throws */
export async function startIn({ child }: WaitingShell, line: Uint8Array): Promise<WaitingShell["child"]> {
  const writer = child.stdin.getWriter();
  writer.closed.catch(() => {}); // the write reports the same failure
  await writer.write(line);
  return child;
}
