import { readFileSync } from "node:fs";
import type { ResourceLimits } from "../isolation.ts";
import type { Cgroup } from "./cgroup.ts";
import type { ProcessLimit } from "./programs/sandbox-programs.ts";

/*
 * Limits of each process, which replace a cgroup where none can be made. They are weaker, so the job is told which limits
 * do not apply.
 */

type LimitedByCgroup = Pick<Cgroup, "limitsProcesses" | "limitsMemory">;

/** Numbers of resources. @source asm-generic/resource.h; the same on x86-64 and arm64 */
export const RESOURCE = { fileSize: 1, data: 2, core: 4, processes: 6, pendingSignals: 11, messageQueues: 12 };
const UNLIMITED = 2n ** 64n - 1n;

/** The limits that each process sets for itself. */
export function processLimits(limits: ResourceLimits, cgroup: LimitedByCgroup | null): ProcessLimit[] {
  const hard = readHardLimits();
  const MiB = 1024 * 1024;
  // Only lowered, because raising a limit needs a privilege that the process does not have at this point.
  const lowered = (resource: number, wanted: number, name: string): ProcessLimit => {
    const most = hard.get(name) ?? UNLIMITED;
    const whole = BigInt(Math.floor(wanted));
    const value = whole < most ? whole : most;
    return { resource, soft: value, hard: value };
  };
  const each = [
    { resource: RESOURCE.core, soft: 0n, hard: 0n },
    lowered(RESOURCE.fileSize, limits.diskMiB * MiB, "Max file size"),
    // The kernel counts these per user (see user-limits.ts): pending signals, and one message queue of the usual size.
    lowered(RESOURCE.pendingSignals, 4096, "Max pending signals"),
    lowered(RESOURCE.messageQueues, 100_000, "Max msgqueue size"),
  ];
  if (!cgroup?.limitsProcesses) each.push(lowered(RESOURCE.processes, limits.processes, "Max processes"));
  // A soft limit, which a program may raise for itself: those of sanitizers reserve terabytes of addresses, which count as
  // data. A hard one would stop no job that means harm either, because it may start any number of processes.
  if (!cgroup?.limitsMemory) {
    const data = lowered(RESOURCE.data, limits.memoryMiB * MiB, "Max data size");
    each.push({ ...data, hard: hard.get("Max data size") ?? UNLIMITED });
  }
  return each;
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

function readHardLimits(): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const line of readFileSync("/proc/self/limits", "utf8").split("\n")) {
    const match = /^(Max [a-z ]+?)\s{2,}\S+\s+(\d+)/.exec(line);
    if (match) found.set(match[1] as string, BigInt(match[2] as string));
  }
  return found;
}
