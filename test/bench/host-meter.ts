import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pause } from "../support/wait.ts";

/** What a process and everything that it starts use of this machine, read from the kernel's own books. */
export interface HostMeter {
  /** Seconds of CPU so far. */
  cpu(): CpuSeconds;
  /** Resident memory of the process itself in MiB, read about once a second since the meter was made. */
  memory(): readonly number[];
  stop(): Promise<void>;
}

export interface CpuSeconds {
  /** Of the process itself. */
  readonly own: number;
  /** Of all that it started: bwrap, git, cp, the network's helper, and the jobs' own commands. */
  readonly started: number;
}

const ACCOUNTS = "/sys/fs/cgroup/cpuacct";
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 1_000;

/**
 * Meters a process from now on. Where this user may make a cgroup of version 1, what the process starts is counted exactly;
 * elsewhere only what has ended and was waited for is.
 */
export function meter(pid: number): HostMeter {
  const account = openAccount(pid);
  const atStart = account?.seconds() ?? 0;
  const { own: ownAtStart, ended: endedAtStart } = timesOf(pid);
  const memory = [residentMiB(pid)];
  const sampling = setInterval(() => memory.push(residentMiB(pid)), SAMPLE_MS);
  return {
    cpu() {
      const { own, ended } = timesOf(pid);
      const started = account ? account.seconds() - atStart - (own - ownAtStart) : ended - endedAtStart;
      return { own: own - ownAtStart, started: Math.max(0, started) };
    },
    memory: () => memory,
    async stop() {
      clearInterval(sampling);
      await account?.close();
    },
  };
}

function openAccount(pid: number): { seconds(): number; close(): Promise<void> } | null {
  const folder = join(ACCOUNTS, `bench-${pid}`);
  try {
    mkdirSync(folder);
    writeFileSync(join(folder, "cgroup.procs"), String(pid)); // its threads too
  } catch {
    if (existsSync(folder)) rmdirSync(folder);
    return null;
  }
  return {
    seconds: () => Number(readFileSync(join(folder, "cpuacct.usage"), "utf8")) / 1e9,
    async close() {
      for (let tries = 0; tries < 50; tries++) {
        try {
          return rmdirSync(folder);
        } catch {
          await pause(100); // its processes have not all gone
        }
      }
    },
  };
}

/** Seconds of CPU of a process, and of its children that have ended. */
function timesOf(pid: number): { own: number; ended: number } {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const seconds = (...at: number[]) => at.reduce((sum, field) => sum + (fields[field] ?? 0), 0) / TICKS_PER_SECOND;
  return { own: seconds(11, 12), ended: seconds(13, 14) };
}

function residentMiB(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  } catch {
    return Number.NaN; // it has ended
  }
}
