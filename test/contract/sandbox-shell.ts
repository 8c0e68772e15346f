import type { ExecRequest, ExitStatus, Sandbox } from "../../src/sandboxes/port.ts";

export interface Ran {
  readonly exit: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a shell command to its end, with empty input unless some is given. */
export async function sh(
  sandbox: Pick<Sandbox, "start">,
  command: string,
  request: Partial<ExecRequest> & { input?: string } = {},
): Promise<Ran> {
  const { input, ...rest } = request;
  const child = await sandbox.start({ argv: ["sh", "-c", command], ...rest });
  if (input !== undefined) await child.write(Buffer.from(input));
  await child.closeInput();
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of child.output) parts[chunk.stream].push(chunk.bytes);
  return {
    exit: await child.exit,
    stdout: Buffer.concat(parts.stdout).toString(),
    stderr: Buffer.concat(parts.stderr).toString(),
  };
}

export const exited = (code: number): ExitStatus => ({ kind: "exited", code });
