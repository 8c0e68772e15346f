import type { ExitStatus, Sandbox } from "../sandboxes/port.ts";
import type { Clock } from "../shared/clock.ts";

export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT = 1024 * 1024;

/**
 * Runs a shell script of ours in a sandbox, to its end or its time limit. What it prints is the job's word.
 * @throws Error when it was killed or its end is unknown, LabError `sandbox_lost`
 */
export async function runScript(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  { clock, limitMs, workdir }: { readonly clock: Clock; readonly limitMs: number; readonly workdir?: string },
): Promise<CommandEnd> {
  const argv = ["/bin/sh", "-c", script, "workspace", ...args];
  const child = await sandbox.start({ argv, workdir: workdir ?? "/", env: { LC_ALL: "C" } });
  let isLate = false;
  const cancel = clock.after(limitMs, () => {
    isLate = true;
    void child.signal("SIGKILL").catch(() => {});
  });
  try {
    await child.closeInput();
    const said = { stdout: "", stderr: "" };
    for await (const { stream, bytes } of child.output)
      if (said[stream].length < MAX_OUTPUT) said[stream] += Buffer.from(bytes).toString("latin1");
    return { code: toCode(await child.exit, isLate, limitMs), ...said };
  } finally {
    cancel();
  }
}

function toCode(exit: ExitStatus, isLate: boolean, limitMs: number): number {
  if (isLate) throw new Error(`it took longer than ${limitMs / 1000} s`);
  if (exit.kind === "exited") return exit.code;
  throw new Error(exit.kind === "signalled" ? `it was ended by ${exit.signal}` : exit.reason);
}
