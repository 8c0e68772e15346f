import { readFileSync } from "node:fs";
import { HOST_ENV } from "../host-tools.ts";
import type { CommandPlan, Launch, ResourceLimits } from "../isolation.ts";
import { commandScript, READ_SCRIPT } from "../shell-script.ts";
import type { Cgroup } from "./cgroup.ts";
import { launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";
import { ENTRY } from "./wall-args.ts";

/** Commands die for lack of memory before their sandbox's first process does. */
const OOM_SCORE = 500;

/**
 * The way of a command into a sandbox: cgroup, namespaces, the inner user namespace (the one without privileges), the
 * system-call filter, limits, a shell that reads the command from descriptor 3 and reports there. Everything from
 * its entry on is executed from the sandbox's own read-only root, not as its first user namespace's root for
 * longer than it takes to join the second.
 */
export function enterLaunch(
  { nsenter, setpriv }: { readonly nsenter: string; readonly setpriv: string },
  namespaces: Namespaces,
  cgroup: Cgroup | null,
  limits: ResourceLimits,
  command: CommandPlan,
): Launch {
  const argv = [
    // It waits for the command, and stops when that is stopped: without us nobody would ever let it go on and end.
    setpriv, "--pdeathsig", "KILL", "--",
    nsenter, "--preserve-credentials", ...namespaces.enterArgs(), "--",
    // It finds the inner namespace by the sandbox's first process, which cannot be replaced: when that goes, its
    // namespaces take no one in any more.
    ENTRY,
    "/usr/bin/prlimit", ...limitArgs(limits, cgroup), "--",
    // A group of its own inside: the nsenter that waits for it on the host must not get the command's signals.
    "/usr/bin/setsid", "/bin/sh", "-c", READ_SCRIPT,
  ]; // biome-ignore format: one line a stage
  return {
    ...launcherArgs(3, cgroup?.procsFiles ?? [], argv, OOM_SCORE),
    env: HOST_ENV,
    cwd: "/",
    script: commandScript(command),
    settled: namespaces.hold(),
  };
}

function limitArgs(limits: ResourceLimits, cgroup: Cgroup | null): string[] {
  const hard = readHardLimits();
  const MiB = 1024 * 1024;
  const args = ["--core=0:0", lowered("fsize", limits.diskMiB * MiB, hard.get("Max file size"))];
  if (!cgroup?.limitsProcesses) args.push(lowered("nproc", limits.processes, hard.get("Max processes")));
  // Per process, so weaker than a cgroup: many small processes can still hold much together.
  if (!cgroup?.limitsMemory) args.push(lowered("data", limits.memoryMiB * MiB, hard.get("Max data size")));
  return args;
}

// Raising a limit needs a privilege that nobody has at this point.
function lowered(name: string, wanted: number, hard: number | undefined): string {
  const value = Math.min(wanted, hard ?? Number.POSITIVE_INFINITY);
  return `--${name}=${value}:${value}`;
}

function readHardLimits(): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of readFileSync("/proc/self/limits", "utf8").split("\n")) {
    const match = /^(Max [a-z ]+?)\s{2,}\S+\s+(\d+)/.exec(line);
    if (match) found.set(match[1] as string, Number(match[2]));
  }
  return found;
}
