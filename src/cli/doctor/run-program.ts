import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { isFile, realPath } from "./installed-package.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface ProgramResult {
  /** null = it was killed, at its limit of time or by someone else. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly isLate: boolean;
}

const MAX_CHARS = 16_384;

/** Runs a program without input, and ends it with all that it has started. @throws Error when it cannot be started */
export function runProgram(
  argv: readonly [file: string, ...args: string[]],
  {
    env,
    limitMs,
    clock,
    signal,
  }: { readonly env: Env; readonly limitMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const [file, ...args] = argv;
    const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: process.platform !== "win32" });
    let stdout = "";
    let stderr = "";
    let isLate = false;
    child.stdout.on("data", (bytes) => {
      if (stdout.length < MAX_CHARS) stdout += String(bytes);
    });
    child.stderr.on("data", (bytes) => {
      if (stderr.length < MAX_CHARS) stderr += String(bytes);
    });
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL");
      } catch {
        // it has ended
      }
    };
    const cancel = clock.after(limitMs, () => {
      isLate = true;
      kill();
    });
    signal.addEventListener("abort", kill, { once: true });
    const end = () => {
      cancel();
      signal.removeEventListener("abort", kill);
      kill(); // what it has left behind
      child.stdout.destroy();
      child.stderr.destroy();
    };
    child.once("error", (error) => {
      end();
      reject(error);
    });
    let code: number | null = null;
    child.once("exit", (found) => {
      code = found;
      // What it printed last may still be on its way; a child of it may hold the pipes for ever.
      clock.after(250, () => {
        end();
        resolve({ code, stdout, stderr, isLate });
      });
    });
    child.once("close", () => {
      end();
      resolve({ code, stdout, stderr, isLate });
    });
    if (signal.aborted) kill();
  });
}

/** All programs of this name on PATH, in its order; links to one program count once. */
export function programsOnPath(name: string, env: Env): string[] {
  const names = process.platform === "win32" ? [`${name}.exe`, `${name}.cmd`] : [name];
  const found = new Map<string, string>();
  for (const folder of (env.PATH ?? "").split(delimiter).filter((one) => isAbsolute(one)))
    for (const path of names.map((one) => join(folder, one)))
      if (isFile(path) && isExecutable(path) && !found.has(realPath(path))) found.set(realPath(path), path);
  return [...found.values()];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
