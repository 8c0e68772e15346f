import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import type { LentGpus } from "../gpus/driver-files.ts";

/*
 * A sandbox's /proc. When the host process is root, a job's user is the kernel's uid 0 without privileges, and owning a file
 * gives it dangerous rights: writing /proc/sys/kernel/core_pattern (a program that the host's kernel runs as root), or
 * changing the mode of a file there for everybody. bwrap allows both; read-only mounts prevent them.
 */

const MASKED = [
  "kcore",
  "keys",
  "key-users",
  "kmsg",
  "timer_list",
  "sched_debug",
  "kpagecount",
  "kpageflags",
  "kpagecgroup",
  "vmallocinfo",
  "slabinfo",
  "sysrq-trigger",
];

/** Only what this user may open, as a job has the same rights to files at most: each mask costs every sandbox a mount. */
const maskedProc = (): string[] =>
  MASKED.filter(mayOpen).flatMap((name) => ["--ro-bind", "/dev/null", `/proc/${name}`]);

function mayOpen(name: string): boolean {
  return [constants.R_OK, constants.W_OK].some((access) => {
    try {
      accessSync(`/proc/${name}`, access);
      return true;
    } catch {
      return false; // also where the kernel has no such file
    }
  });
}

/** bwrap's arguments for /proc. @param gpus what the sandbox is lent of them; null = none */
export function procArgs(gpus: LentGpus | null): string[] {
  const args = ["--proc", "/proc", ...maskedProc(), ...driverArgs(gpus)];
  if (gpus === null) return [...args, "--remount-ro", "/proc"];
  // CUDA names its threads in /proc, and does not start where that fails. So there the processes' own folders stay
  // writable, and each of the others is made read-only.
  for (const { name, ...entry } of readdirSync("/proc", { withFileTypes: true }).map(toEntry))
    if (!entry.isLink && !/^\d+$/.test(name) && name !== DRIVER && !MASKED.includes(name))
      args.push("--ro-bind-try", `/proc/${name}`, `/proc/${name}`);
  return args;
}

const DRIVER = "driver";

/** In place of what the kernel's drivers show of all their devices, what the lent ones need. */
function driverArgs(gpus: LentGpus | null): string[] {
  if (!existsSync("/proc/driver") || (gpus === null && !existsSync("/proc/driver/nvidia"))) return [];
  const lent = gpus?.files.filter(isOfDriver) ?? [];
  const binds = lent.flatMap(({ from, at }) => ["--ro-bind", from, at]);
  return ["--perms", "0555", "--tmpfs", "/proc/driver", ...binds, "--remount-ro", "/proc/driver"];
}

/** bwrap's arguments for the files that GPUs need elsewhere. */
export const gpuFileArgs = (gpus: LentGpus | null): string[] =>
  gpus === null
    ? []
    : [
        ...gpus.files.filter((file) => !isOfDriver(file)).flatMap(({ from, at }) => ["--ro-bind", from, at]),
        ...gpus.links.flatMap(({ at, to }) => ["--symlink", to, at]),
      ];

/** bwrap's arguments for device nodes, which a plain bind would make unusable. */
export const gpuNodeArgs = (gpus: LentGpus | null): string[] =>
  gpus?.nodes.flatMap(({ from, at }) => ["--dev-bind", from, at]) ?? [];

/** Paths of the devices that a job may write to. */
export const devices = (gpus: LentGpus | null): string[] => [
  ...["null", "zero", "full", "random", "urandom", "tty"].map((name) => `/dev/${name}`),
  ...(gpus?.nodes.map(({ at }) => at) ?? []),
];

const isOfDriver = ({ at }: { readonly at: string }): boolean => at.startsWith("/proc/driver/");

const toEntry = (entry: { readonly name: string; isSymbolicLink(): boolean }) => ({
  name: entry.name,
  isLink: entry.isSymbolicLink(),
});
