import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";
import { HOST_ENV } from "../host-tools.ts";
import type { ResourceLimits } from "../isolation.ts";

/*
 * A cgroup for each sandbox, where this user may make one. Only a cgroup limits all of a sandbox's processes and memory
 * together. Where none can be made, limits of each process replace it (see process-limits.ts).
 */

export interface Cgroup {
  readonly limitsProcesses: boolean;
  readonly limitsMemory: boolean;
  /** The `cgroup.procs` files that a process writes its pid to before it enters the sandbox. */
  readonly procsFiles: readonly string[];
  /** Its folders that say how much memory it has, and where programs look for them: runtimes size themselves by it. */
  readonly shown: readonly { readonly from: string; readonly at: string }[];
  /** The pids of its processes: all of the sandbox's, for none can leave it. null when they cannot be read. */
  pids(): readonly number[] | null;
  /** Processes killed so far because the memory was full; null when it is not limited, or the kernel does not count them. */
  memoryKills(): number | null;
  /** Processes and threads refused so far because it had as many as it may; null when they are not limited or not counted. */
  processRefusals(): number | null;
  /** Removes the cgroup, whose processes must have been killed. Rejects when it cannot be removed. */
  remove(): Promise<void>;
}

type Limit = "pids" | "memory";
/** A folder in which cgroups can be made. */
interface CgroupParent {
  readonly folder: string;
  readonly version: 1 | 2;
  readonly limits: readonly Limit[];
}

/** Folders in which working cgroups can be made, found by making one and moving a process into it. */
export function findCgroupParents(probeName: string): readonly CgroupParent[] {
  const own = parseOwn();
  const v1 = (["pids", "memory"] as const).flatMap((limit): CgroupParent[] => {
    const folder = own.v1.get(limit);
    return folder !== undefined && works({ folder, version: 1, limits: [limit] }, probeName)
      ? [{ folder, version: 1, limits: [limit] }]
      : [];
  });
  if (v1.length > 0 || own.v2 === null) return v1;
  // A cgroup that holds processes cannot delegate controllers, so its parent (a user's app.slice) is a candidate too.
  for (const folder of [own.v2, dirname(own.v2)]) {
    const passedOn = read(join(folder, "cgroup.subtree_control")).split(/\s+/);
    const parent: CgroupParent = {
      folder,
      version: 2,
      limits: (["pids", "memory"] as const).filter((limit) => passedOn.includes(limit)),
    };
    if (parent.limits.length > 0 && works(parent, probeName)) return [parent];
  }
  return [];
}

/** Removes the empty cgroups of processes that have died. A cgroup's name contains the pid of the process that made it. */
export function removeOrphanCgroups(parents: readonly CgroupParent[]): void {
  for (const { folder } of parents) {
    for (const name of readdirSync(folder)) {
      const maker = /^opa-(\d+)-/.exec(name)?.[1];
      if (maker === undefined || existsSync(`/proc/${maker}`)) continue;
      try {
        rmdirSync(join(folder, name));
      } catch {
        // still in use, or another process removed it first
      }
    }
  }
}

export function createCgroup(
  parents: readonly CgroupParent[],
  id: string,
  limits: ResourceLimits,
  clock: Clock,
): Cgroup | null {
  if (parents.length === 0) return null;
  const name = `opa-${process.pid}-${id}`;
  const folders = parents.map((parent) => join(parent.folder, name));
  const removeAll = () => {
    for (const folder of folders) if (existsSync(folder)) rmdirSync(folder);
  };
  try {
    for (const parent of parents) make(parent, name, limits);
  } catch (error) {
    removeAll();
    throw error;
  }
  return {
    limitsProcesses: parents.some((parent) => parent.limits.includes("pids")),
    limitsMemory: parents.some((parent) => parent.limits.includes("memory")),
    procsFiles: folders.map((folder) => join(folder, "cgroup.procs")),
    shown: parents.flatMap(({ version, limits: kept }, at) =>
      kept.includes("memory")
        ? [{ from: folders[at] as string, at: version === 1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup" }]
        : [],
    ),
    pids() {
      try {
        return readFileSync(join(folders[0] as string, "cgroup.procs"), "utf8")
          .split("\n")
          .filter(Boolean)
          .map(Number);
      } catch {
        return null; // somebody has removed it
      }
    },
    memoryKills() {
      const counters = folders.map(
        (folder) => `${read(join(folder, "memory.events"))}\n${read(join(folder, "memory.oom_control"))}`,
      );
      return numberAfter("oom_kill", counters.join("\n"));
    },
    processRefusals: () => numberAfter("max", folders.map((folder) => read(join(folder, "pids.events"))).join("\n")),
    async remove() {
      // The kernel releases killed processes a moment after their parent has learnt of their death.
      for (let attempt = 0; ; attempt += 1) {
        try {
          return removeAll();
        } catch (error) {
          if (attempt === 100) throw error;
          await sleep(clock, 20);
        }
      }
    },
  };
}

function make(parent: CgroupParent, name: string, limits: Pick<ResourceLimits, "processes" | "memoryMiB">): void {
  const folder = join(parent.folder, name);
  mkdirSync(folder);
  const bytes = String(limits.memoryMiB * 1024 * 1024);
  if (parent.limits.includes("pids")) writeFileSync(join(folder, "pids.max"), String(limits.processes));
  if (!parent.limits.includes("memory")) return;
  writeFileSync(join(folder, parent.version === 1 ? "memory.limit_in_bytes" : "memory.max"), bytes);
  // Without a limit on swap, a job would slow the machine down instead of dying. Absent where the kernel does not count swap.
  const [swap, amount] = parent.version === 1 ? ["memory.memsw.limit_in_bytes", bytes] : ["memory.swap.max", "0"];
  if (existsSync(join(folder, swap))) writeFileSync(join(folder, swap), amount);
}

function numberAfter(name: string, lines: string): number | null {
  const count = new RegExp(`^${name} (\\d+)$`, "m").exec(lines)?.[1];
  return count === undefined ? null : Number(count);
}

function works(parent: CgroupParent, name: string): boolean {
  const folder = join(parent.folder, name);
  try {
    make(parent, name, { processes: 64, memoryMiB: 256 });
    const joined = spawnSync("/bin/sh", ["-c", 'echo $$ > "$1"', "join", join(folder, "cgroup.procs")], {
      env: { ...HOST_ENV },
      stdio: "ignore",
    });
    return joined.status === 0;
  } catch {
    return false; // this user may not make cgroups here
  } finally {
    if (existsSync(folder)) rmdirSync(folder);
  }
}

function parseOwn(): { v1: Map<string, string>; v2: string | null } {
  const mounts = read("/proc/self/mountinfo")
    .split("\n")
    .flatMap((line) => {
      const fields = line.split(" ");
      const kind = fields[fields.indexOf("-") + 1];
      const options = fields.at(-1) ?? "";
      return kind === "cgroup" || kind === "cgroup2"
        ? [{ root: fields[3] ?? "/", at: fields[4] ?? "", kind, options: options.split(",") }]
        : [];
    });
  const v1 = new Map<string, string>();
  let v2: string | null = null;
  for (const line of read("/proc/self/cgroup").split("\n")) {
    const [id, controllers = "", ...rest] = line.split(":");
    const path = rest.join(":");
    if (id === "0" && controllers === "") {
      const mount = mounts.find((each) => each.kind === "cgroup2");
      if (mount) v2 = locate(mount, path);
      continue;
    }
    for (const controller of controllers.split(",")) {
      const mount = mounts.find((each) => each.kind === "cgroup" && each.options.includes(controller));
      const folder = mount && locate(mount, path);
      if (folder) v1.set(controller, folder);
    }
  }
  return { v1, v2 };
}

// In a container the mount may show only a part of the hierarchy.
function locate(mount: { readonly root: string; readonly at: string }, path: string): string {
  const seen = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
  const folder = join(mount.at, seen);
  return existsSync(folder) ? folder : mount.at;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
