import { type ChildProcess, spawn } from "node:child_process";
import { closed, opened } from "./ledger.ts";
import { within } from "./wait.ts";

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface TrackedProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  stdout(): string;
  stderr(): string;
  write(text: string): void;
  onStdout(listener: (chunk: string) => void): void;
  /** To the process alone. */
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL to the whole process group: nothing it started stays behind. */
  kill(): Promise<Exit>;
  /** SIGTERM, then, past `graceMs`, SIGKILL to the group. */
  stop(graceMs?: number): Promise<Exit>;
}

export interface StartOptions {
  cwd: string;
  env: Record<string, string>;
  /** Default: stdin is empty. */
  stdin?: "pipe";
  name: string;
}

/** Starts a process as the leader of a group of its own, so that all of it can be ended. */
export async function startProcess(command: string, args: string[], options: StartOptions): Promise<TrackedProcess> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
  });
  const pid = await started(child);
  const ledgerId = `${options.name} (pid ${pid})`;
  opened("process", ledgerId, () => killGroup(pid));
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (chunk: string) => {
      output[stream] += chunk;
    });
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once("close", (code, signal) => {
      closed("process", ledgerId);
      resolve({ code, signal });
    });
  });
  const kill = () => {
    killGroup(pid);
    return within(exited, 5_000, `${options.name} is gone after SIGKILL`);
  };
  return {
    pid,
    exited,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    write: (text) => void child.stdin?.write(text),
    onStdout: (listener) => void child.stdout?.on("data", listener),
    signal: (signal) => void child.kill(signal),
    kill,
    async stop(graceMs = 8_000) {
      child.kill("SIGTERM");
      const exit = await within(exited, graceMs, "exit").catch(() => kill());
      killGroup(pid); // what it may have left in its group
      return exit;
    },
  };
}

function started(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => resolve(child.pid as number));
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: the group is empty already.
  }
}
