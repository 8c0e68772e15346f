import { readFileSync } from "node:fs";
import type { ResourceLimits } from "../isolation.ts";
import type { Cgroup } from "./cgroup.ts";

/*
 * Limits of each process, which replace a cgroup where none can be made. They are weaker, so the job is told which limits
 * do not apply.
 */

type LimitedByCgroup = Pick<Cgroup, "limitsProcesses" | "limitsMemory">;

/** Arguments for `prlimit`. */
export function processLimits(limits: ResourceLimits, cgroup: LimitedByCgroup | null): string[] {
  const hard = readHardLimits();
  const MiB = 1024 * 1024;
  const args = ["--core=0:0", lowered("fsize", limits.diskMiB * MiB, hard.get("Max file size"))];
  // The kernel counts these per user (see user-limits.ts): pending signals, and one message queue of the usual size.
  args.push(lowered("sigpending", 4096, hard.get("Max pending signals")));
  args.push(lowered("msgqueue", 100_000, hard.get("Max msgqueue size")));
  if (!cgroup?.limitsProcesses) args.push(lowered("nproc", limits.processes, hard.get("Max processes")));
  // A soft limit, which a program may raise for itself: those of sanitizers reserve terabytes of addresses, which count as
  // data. A hard one would stop no job that means harm either, because it may start any number of processes.
  if (!cgroup?.limitsMemory) args.push(lowered("data", limits.memoryMiB * MiB, hard.get("Max data size"), "soft"));
  return args;
}

/** The limits that nothing enforces here, as notes for the job. @param isRoot the kernel never counts root's processes */
export function unenforcedLimits(limits: ResourceLimits, cgroup: LimitedByCgroup | null, isRoot: boolean): string[] {
  const why = "no cgroup that does so can be made on this machine";
  const notes: string[] = [];
  if (!cgroup?.limitsProcesses && isRoot) notes.push(`The number of processes is not limited: ${why}.`);
  if (!cgroup?.limitsMemory)
    notes.push(
      `Memory is not limited in all, only to ${limits.memoryMiB} MiB for each process, and files in memory (memfd, shared memory) are not counted: ${why}. Programs built with -fsanitize=address or thread need more: run \`ulimit -d unlimited\` before them.`,
    );
  return notes;
}

// Only lowered, because raising a limit needs a privilege that the process does not have at this point.
function lowered(name: string, wanted: number, hard: number | undefined, kind: "hard" | "soft" = "hard"): string {
  const value = Math.min(wanted, hard ?? Number.POSITIVE_INFINITY);
  return kind === "soft" ? `--${name}=${value}:` : `--${name}=${value}:${value}`;
}

function readHardLimits(): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of readFileSync("/proc/self/limits", "utf8").split("\n")) {
    const match = /^(Max [a-z ]+?)\s{2,}\S+\s+(\d+)/.exec(line);
    if (match) found.set(match[1] as string, Number(match[2]));
  }
  return found;
}
