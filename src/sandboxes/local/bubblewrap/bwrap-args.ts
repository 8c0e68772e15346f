import { isWithin } from "../../../config/host-paths.ts";
import type { IsolationPlan } from "../isolation.ts";
import type { Cgroup } from "./cgroup.ts";
import type { HostPath } from "./host-path.ts";
import { gpuFileArgs, gpuNodeArgs, procArgs } from "./kernel-files.ts";
import { ENTRY, FIRST } from "./programs/sandbox-programs.ts";
import { type Etc, etcArgs, resolverArgs } from "./root-filesystem.ts";
import { DESCRIPTOR } from "./start-bwrap.ts";

export const HOME = "/home/agent";
/** Paths that a workdir must not overlap with, because host paths or the sandbox's own root are mounted there. */
const RESERVED = [
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib64",
  "/lib32",
  "/libx32",
  "/etc",
  "/proc",
  "/dev",
  "/sys",
  "/run",
  "/tmp",
  "/home",
  "/var/tmp",
];

export interface BwrapOptions {
  /** `--disable-userns` (bwrap 0.8): no user namespaces inside, since most kernel exploits start with one. */
  readonly disableUserns: boolean;
  /** `--size` (bwrap 0.7): limits shared memory, which no process limit counts. */
  readonly sizedTmpfs: boolean;
}

/** Why a directory cannot be a sandbox's workdir; null when it can. */
export function refuseWorkdir(workdir: string): string | null {
  if (
    !/^\/[^\0]+$/.test(workdir) ||
    workdir
      .split("/")
      .slice(1)
      .some((part) => part === "" || part === "." || part === "..")
  ) {
    return `workdir must be an absolute, plain path below /, not ${JSON.stringify(workdir)}`;
  }
  const reserved = RESERVED.find((path) => isWithin(workdir, path) || isWithin(path, workdir));
  return reserved ? `workdir ${workdir} would overlap with ${reserved}, which a local sandbox uses itself` : null;
}

/**
 * All of bwrap's arguments except the program to run, for a sandbox with these files in its /etc, which lie in a folder of the
 * host's. bwrap writes its report to one descriptor, waits half way for another, and reads programs and the filter from others
 * (see startBwrap).
 */
export function bwrapArgs(
  plan: IsolationPlan,
  programs: readonly string[],
  hostPath: HostPath,
  etc: Etc,
  etcFiles: string,
  resolver: string | null,
  cgroup: Cgroup | null,
  options: BwrapOptions,
): string[] {
  const { making, workdir, limits, gpus } = plan;
  const { dirs } = making ?? plan;
  const args = [
    "--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
    "--unshare-cgroup-try", "--hostname", "sandbox", "--die-with-parent", "--as-pid-1", "--new-session",
    "--cap-drop", "ALL", "--clearenv", "--info-fd", String(DESCRIPTOR.report),
  ]; // biome-ignore format: a table
  if (options.disableUserns) args.push("--disable-userns");
  args.push("--setenv", "PATH", "/usr/bin:/bin", ...programs, ...etcArgs(etc, etcFiles, resolver !== null));
  for (const path of hostPath.visible.binds) args.push("--ro-bind-try", path, path);
  for (const { at, to } of [...hostPath.visible.links, ...hostPath.links]) args.push("--symlink", to, at);
  args.push(...gpuFileArgs(gpus), ...procArgs(gpus), "--dev", "/dev", ...gpuNodeArgs(gpus));
  for (const { from, at } of cgroup?.shown ?? []) args.push("--ro-bind-try", from, at);
  if (options.sizedTmpfs) {
    const bytes = Math.max(64, Math.floor(limits.memoryMiB / 2)) * 1024 * 1024;
    args.push("--size", String(bytes), "--perms", "1777", "--tmpfs", "/dev/shm");
  }
  args.push("--perms", "0755", "--dir", "/home", "--dir", "/var", "--symlink", "../tmp", "/var/tmp", "--dir", "/run");
  // In the root itself, which is in memory: the state directory may be mounted noexec.
  const ours = { [FIRST]: DESCRIPTOR.first, [ENTRY]: DESCRIPTOR.entry };
  for (const [at, from] of Object.entries(ours)) args.push("--perms", "0555", "--file", String(from), at);
  args.push("--seccomp", String(DESCRIPTOR.filter));
  // Reading this file blocks bwrap until we have opened the namespaces, filled the directories and closed our end of the gate.
  args.push("--file", String(DESCRIPTOR.gate), "/run/.gate");
  if (!options.sizedTmpfs) args.push("--bind", dirs.tmp, "/dev/shm");
  args.push(
    "--bind", dirs.home, HOME, "--bind", dirs.tmp, "/tmp", "--ro-bind", dirs.logs, "/run/logs", "--bind", dirs.workspace, workdir,
    ...resolverArgs(resolver), "--remount-ro", "/dev", "--remount-ro", "/",
  ); // biome-ignore format: one line per purpose
  return args;
}
