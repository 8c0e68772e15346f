import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { startProgram } from "../../shared/start-program.ts";
import { withAnonymousFiles } from "./anonymous-file.ts";

/** The environment of every host tool: a PATH to find the system's programs, and none of the user's variables. */
export const HOST_ENV: Readonly<Record<string, string>> = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

const TOOL_FOLDERS = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/run/current-system/sw/bin"];

export type HostTool =
  | "bwrap"
  | "nsenter"
  | "setpriv"
  | "slirp4netns"
  | "pasta"
  | "ip"
  | "mkfifo"
  | "nvidia-smi"
  | "nvidia-modprobe";

/**
 * Looks only in the system's own directories, because the user's PATH could lead to a file that a job wrote.
 * @param root where the machine's files lie, for a stand-in of a machine
 */
export function findTool(name: HostTool, root = ""): string | null {
  for (const folder of TOOL_FOLDERS) {
    const path = join(root || "/", folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return null;
}

/** Per stream. */
const MAX_OUTPUT_CHARS = 65_536;

export interface HostResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HostRun {
  readonly signal?: AbortSignal | undefined;
  /** What the tool reads from its standard input; empty when left out. */
  readonly input?: string;
  /** Content of the file that the tool gets at descriptor 3. */
  readonly file?: Uint8Array | undefined;
  /** Variables besides those every host tool has. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Called with standard error as it arrives, beyond the 64 KiB kept in the result too. */
  readonly onStderr?: (text: string) => void;
  /** Only the exit code is wanted, and the result has no output: each pipe costs OpenCode half a millisecond. */
  readonly quiet?: boolean;
}

/**
 * Runs a host tool to its end with a clean environment. Output is cut at 64 KiB per stream.
 * @throws Error when it cannot be started, or `signal` aborts
 */
export function runHostTool(
  argv: readonly string[],
  { signal, input, file, env, onStderr, quiet = false }: HostRun = {},
): Promise<HostResult> {
  const output = quiet ? "ignore" : "pipe";
  return new Promise((resolve, reject) => {
    const child = withAnonymousFiles(
      [...(input === undefined ? [] : [Buffer.from(input)]), ...(file ? [file] : [])],
      (fds) =>
        startProgram(argv[0] as string, argv.slice(1), {
          env: { ...HOST_ENV, ...env },
          cwd: "/",
          stdio: [input === undefined ? "ignore" : (fds[0] as number), output, output, ...(file ? fds.slice(-1) : [])],
          ...(signal ? { signal, killSignal: "SIGKILL" as const } : {}),
        }),
    );
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (bytes) => {
      if (stdout.length < MAX_OUTPUT_CHARS) stdout += String(bytes);
    });
    child.stderr?.on("data", (bytes) => {
      onStderr?.(String(bytes));
      if (stderr.length < MAX_OUTPUT_CHARS) stderr += String(bytes);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr: stderr.trim() }));
  });
}
