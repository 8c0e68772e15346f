import { spawnSync } from "node:child_process";
import { HOST_ENV } from "../host-tools.ts";
import type { Processor } from "./call-filter/refused-calls.ts";
import { launcherArgs } from "./launcher.ts";
import { createProgramFiles } from "./program-files.ts";
import { bwrapLauncher, commandLauncher, limiterProgram } from "./programs/launch-programs.ts";

/** A program to spawn on the host. */
export interface HostLaunch {
  readonly file: string;
  readonly args: readonly string[];
  /** Files that whoever spawns it opens for writing, and gives to it behind its other descriptors. */
  readonly opens: readonly string[];
}

/** How programs are started on the host for sandboxes, see launcher.ts. */
export interface Launchers {
  /** With the descriptors 0 to 3; killed when this process ends, and before others when memory runs out. */
  command(argv: readonly string[], cgroupProcs: readonly string[]): HostLaunch;
  /** With the descriptors 0 to 6, and with its output as 7 besides; its input is 8, and 0 is empty. */
  bwrap(argv: readonly string[], cgroupProcs: readonly string[]): HostLaunch;
  /** Path of a program that limits its user namespace, and becomes another one; null = there is none. */
  limiter(userLimits: readonly string[]): string | null;
}

/** Descriptors of bwrap that are copies. */
export const COPIES = { output: 7, input: 8 };

/** When memory runs out, the kernel kills commands before their sandbox's first process. */
const OOM_SCORE = 500;

/** Programs of our own, where this machine can run them from this folder; else the shell, which takes ten times as long. */
export function chooseLaunchers(rootDir: string, processor: Processor, setpriv: string): Launchers {
  try {
    const launchers = programLaunchers(rootDir, processor);
    const { file, args } = launchers.command(["/bin/sh", "-c", "exit 42"], []);
    const { status } = spawnSync(file, args, { env: { ...HOST_ENV }, stdio: "ignore" });
    if (status === 42) return launchers;
  } catch {
    // the disk may be full
  }
  return shellLaunchers(setpriv);
}

export function programLaunchers(rootDir: string, processor: Processor): Launchers {
  const pathOf = createProgramFiles(rootDir);
  const limiters = new Map<string, Uint8Array>();
  const launchWith = (make: (cgroups: number) => Uint8Array): Launchers["command"] => {
    const made: Uint8Array[] = [];
    return (argv, opens) => {
      made[opens.length] ??= make(opens.length);
      return { file: pathOf(made[opens.length] as Uint8Array), args: argv, opens };
    };
  };
  return {
    command: launchWith((cgroups) => commandLauncher(processor, cgroups, OOM_SCORE)),
    bwrap: launchWith((cgroups) => bwrapLauncher(processor, cgroups, COPIES)),
    limiter(userLimits) {
      const key = userLimits.join(" ");
      const program = limiters.get(key) ?? limiterProgram(processor, userLimits);
      limiters.set(key, program);
      return pathOf(program);
    },
  };
}

export function shellLaunchers(setpriv: string): Launchers {
  const copies = `exec "$@" ${COPIES.output}>&1 ${COPIES.input}<&0 0</dev/null`;
  return {
    command(argv, cgroupProcs) {
      const words = [setpriv, "--pdeathsig", "KILL", "--", ...argv];
      return { ...launcherArgs(3, cgroupProcs, words, { oomScore: OOM_SCORE }), opens: [] };
    },
    bwrap: (argv, cgroupProcs) => ({ ...launcherArgs(6, cgroupProcs, argv, { last: copies }), opens: [] }),
    limiter: () => null,
  };
}
