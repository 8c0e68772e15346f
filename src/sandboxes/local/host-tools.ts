import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { withAnonymousFiles } from "./anonymous-file.ts";

/** Enough for the host's own tools to be found, and nothing of the user's. */
export const HOST_ENV: Readonly<Record<string, string>> = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

export type HostTool = "bwrap" | "nsenter" | "setpriv" | "prlimit" | "slirp4netns" | "pasta" | "ip" | "mkfifo";

/** Only from the system's own directories: a PATH of the user's could name a job's file. */
export function findTool(name: HostTool): string | null {
  for (const folder of ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/current-system/sw/bin"]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

export interface HostResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HostRun {
  readonly signal?: AbortSignal | undefined;
  /** What the tool reads from its standard input; nothing when left out. */
  readonly input?: string;
  /** What it finds at descriptor 3. */
  readonly file?: Uint8Array | undefined;
  /** Variables besides those every host tool has. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Gets all that it says on its standard error, as it comes. */
  readonly hear?: (text: string) => void;
}

/** Runs a host tool to its end with a clean environment; output is cut at 64 KiB. Rejects only when it cannot start. */
export function runHostTool(
  argv: readonly string[],
  { signal, input, file, env, hear }: HostRun = {},
): Promise<HostResult> {
  return new Promise((resolve, reject) => {
    const child = withAnonymousFiles(
      [...(input === undefined ? [] : [Buffer.from(input)]), ...(file ? [file] : [])],
      (fds) =>
        spawn(argv[0] as string, argv.slice(1), {
          env: { ...HOST_ENV, ...env },
          cwd: "/",
          stdio: [input === undefined ? "ignore" : (fds[0] as number), "pipe", "pipe", ...(file ? fds.slice(-1) : [])],
          ...(signal ? { signal, killSignal: "SIGKILL" as const } : {}),
        }),
    );
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (bytes) => {
      if (stdout.length < 65_536) stdout += String(bytes);
    });
    child.stderr?.on("data", (bytes) => {
      hear?.(String(bytes));
      if (stderr.length < 65_536) stderr += String(bytes);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr: stderr.trim() }));
  });
}
