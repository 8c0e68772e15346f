import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

const USUAL = 4_096;
/** Eight loaders of data with a thread for each processor, and as much again. */
const PER_PROCESSOR = 128;
/** A sandbox gets one part of this many: the 8 jobs that run at once by default get half of what the machine has. */
const PARTS = 16;
const MINIMUM = 512;

/** How many processes and threads a sandbox may have at once, so that it can neither lack them nor take those of others. */
export const processLimit = (processors: number, machine: number): number =>
  Math.max(MINIMUM, Math.min(Math.max(USUAL, PER_PROCESSOR * processors), Math.floor(machine / PARTS)));

/** The limit on this machine, as it was when it could first be read: its files are read for no sandbox again. */
export function machineProcessLimit(): number {
  if (known !== null) return known;
  const machine = machineLimits(read);
  const limit = processLimit(availableParallelism(), Math.min(...machine));
  if (machine.length > 0) known = limit;
  return limit;
}

let known: number | null = null;

/** What limits all processes of this one's kind together: the kernel, and the cgroups that it is in (a container, a login session). */
export function machineLimits(read: (path: string) => string): number[] {
  const cgroups = read("/proc/self/cgroup")
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", ...rest] = line.split(":");
      const top = controllers === "" ? "/sys/fs/cgroup" : `/sys/fs/cgroup/${controllers}`;
      return controllers === "" || controllers.split(",").includes("pids") ? foldersUpTo(top, rest.join(":")) : [];
    });
  const files = [
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/threads-max",
    ...cgroups.map((folder) => `${folder}/pids.max`),
  ];
  return files.map((path) => Number.parseInt(read(path), 10)).filter((limit) => limit > 0);
}

function foldersUpTo(top: string, path: string): string[] {
  const folders = [top];
  for (let at = path; at !== "/" && at.startsWith("/"); at = dirname(at)) folders.push(join(top, at));
  return folders;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
