import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";
import type { SandboxSignal } from "../../port.ts";
import type { ProcessGroup } from "../isolation.ts";
import type { TreeSize } from "../tree-measure.ts";
import { deletedOpenFiles } from "./deleted-open-files.ts";

/*
 * The processes of one sandbox as the host sees them. Nothing relies on help from inside, because the job's processes can
 * stop or kill whatever enters the sandbox. S1: a pid is signalled immediately after its namespace was checked, so that a
 * reused pid does not lead to a process of the host. The pid of a waiter (our child on the host that waits for a command)
 * is signalled only while it is still our child.
 */

/** Longest time the kernel needs to end thousands of processes. One that is left after it waits for a device. */
const GONE_MS = 10_000;
const POLL_MS = 5;
/** Time in which nearly all sandboxes have ended. */
const UNREAPED_MS = 50;
/** Time limit for stopping all processes. One that forks and ends without a pause can escape for longer. */
const FREEZE_MS = 2_000;

/** Pauses between attempts to resume processes that stopped because another one had stopped. */
const RESUME_PAUSES_MS = [0, 10, 40];

interface Seen {
  readonly pid: number;
  /** As in /proc/<pid>/stat: R (running), S (sleeping), D (waiting for a device), T (stopped), t (traced), Z (ended). */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  /** Start time in clock ticks; distinguishes the process from a later one with the same pid. */
  readonly startedAt: string;
}

export class SandboxProcesses {
  readonly #namespace: string;
  readonly #first: number;
  readonly #clock: Clock;
  readonly #candidates: () => readonly number[] | null;

  /**
   * @param namespace inode number of the pid namespace, which must be held open so that the kernel does not reuse the number
   * @param first host pid of the sandbox's first process
   * @param candidates pids among which all of its processes are; null = any of the machine's may be one
   */
  constructor(namespace: number, first: number, clock: Clock, candidates: () => readonly number[] | null) {
    this.#candidates = candidates;
    this.#namespace = `pid:[${namespace}]`;
    this.#first = first;
    this.#clock = clock;
  }

  /**
   * Signals the process group of a command and the groups that its children lead.
   * @param waiter pid of our child that waits for the command on the host
   * @param below signal only the command's children: a terminal's `script` must survive to report the end
   */
  signal(waiter: number, signal: SandboxSignal, below: boolean): void {
    const [command] = this.#childrenOf(waiter);
    if (command !== undefined) {
      const children = this.#childrenOf(command);
      if (!below) this.#sendToGroup(command, signal);
      for (const child of children) if (!this.#sendToGroup(child, signal) && below) this.#send(child, signal);
    }
    // The waiter stopped together with its command, and would never report the command's end.
    if (signal === "SIGCONT" || signal === "SIGKILL") sendToWaiter(waiter, "SIGCONT");
  }

  /** The process group of a command, which keeps its number for as long as it has a process. */
  group(waiter: number): ProcessGroup | null {
    const [leader] = this.#childrenOf(waiter);
    if (leader === undefined) return null;
    const members = () => this.#list().filter(({ group }) => group === leader);
    return {
      isAlive: () => members().length > 0,
      kill: () => {
        const [member] = members();
        if (member && this.#isInside(member.pid)) send(-leader, "SIGKILL"); // S1
      },
    };
  }

  /** Whether the first process has the children of others, which end before theirs; commands have parents on the host. */
  hasOrphans(): boolean {
    return this.#childrenOf(this.#first).some((pid) => !"ZX".includes(see(pid)?.state ?? "X"));
  }

  /** Resumes a waiter that stopped with its command, once the command runs again or has ended: a job can resume its command unseen. */
  resumeWaiter(waiter: number): void {
    if (see(waiter)?.state !== "T") return;
    const [command] = this.#childrenOf(waiter);
    if (command === undefined || see(command)?.state !== "T") sendToWaiter(waiter, "SIGCONT");
  }

  /** Kills a command and its waiter, whichever stage of entering the sandbox they have reached. */
  killLaunch(waiter: number): void {
    if (!sendToWaiter(waiter, "SIGSTOP")) return; // or it could fork after its children were listed
    for (const child of this.#childrenOf(waiter))
      if (!this.#sendToGroup(child, "SIGKILL")) this.#send(child, "SIGKILL");
    if (isOurs(waiter)) send(-waiter, "SIGKILL"); // S1
  }

  /**
   * Stops every process but the first. What the job had stopped itself stays stopped afterwards.
   * @returns a function that resumes them
   */
  async freeze(): Promise<() => Promise<void>> {
    const stopped = new Map<number, Seen>();
    const waiters = new Map<number, Seen>();
    const until = this.#clock.now() + FREEZE_MS;
    for (;;) {
      const all = this.#list();
      const inside = new Set(all.map(({ pid }) => pid));
      const running = all.filter(({ state }) => state === "R" || state === "S");
      const rest = all.filter(({ state, pid }) => state === "D" && !stopped.has(pid));
      for (const one of [...running, ...rest]) {
        const waiter = inside.has(one.parent) ? null : see(one.parent);
        if (waiter && isOurs(waiter.pid) && waiter.state !== "T") waiters.set(waiter.pid, waiter);
        if (!stopped.has(one.pid)) stopped.set(one.pid, one);
        this.#send(one.pid, "SIGSTOP");
      }
      if (running.length === 0 || this.#clock.now() >= until) break;
      await sleep(this.#clock, POLL_MS);
    }
    return async () => {
      if (stopped.size === 0) return;
      const stillStopped = ({ pid, startedAt }: Seen) => {
        const now = see(pid);
        return now?.startedAt === startedAt && now.state !== "R" && now.state !== "S";
      };
      for (const one of stopped.values()) if (stillStopped(one)) this.#send(one.pid, "SIGCONT");
      // Some programs (script, nsenter) stop when the process they wait for stops, and learn of that only now.
      const parents = new Set([...stopped.values()].map(({ parent }) => parent));
      const waiting = [...stopped.values()].filter(({ pid }) => parents.has(pid));
      for (const pauseMs of RESUME_PAUSES_MS) {
        for (const one of waiters.values()) if (stillStopped(one)) sendToWaiter(one.pid, "SIGCONT");
        for (const one of waiting) if (stillStopped(one)) this.#send(one.pid, "SIGCONT");
        await sleep(this.#clock, pauseMs);
      }
    };
  }

  /** Size of the deleted files that they have open on the file system of `folder`. */
  deletedOpenFiles(folder: string): Promise<TreeSize> {
    return deletedOpenFiles(
      this.#list().map(({ pid }) => pid),
      folder,
    );
  }

  /** Waits until all have ended, after the first process was killed. @returns how many are left after `GONE_MS` */
  async gone(): Promise<number> {
    const since = this.#clock.now();
    // The kernel keeps the first process until every other one of its namespace has ended.
    while (this.#isInside(this.#first) && !"ZX".includes(see(this.#first)?.state ?? "X")) {
      const elapsed = this.#clock.now() - since;
      if (elapsed >= GONE_MS) return this.#list().length + 1;
      // A waiter that stopped with its command must run to reap it, which the first process is waiting for. What has ended
      // is in no cgroup, so it is looked for among all processes, which takes time and is seldom needed.
      if (elapsed >= UNREAPED_MS) for (const { parent } of this.#seen(allProcesses())) sendToWaiter(parent, "SIGCONT");
      await sleep(this.#clock, POLL_MS);
    }
    return 0;
  }

  #list(): Seen[] {
    return this.#seen(this.#candidates() ?? allProcesses()).filter(({ state }) => state !== "Z" && state !== "X");
  }

  /** Also processes that have ended and were not reaped yet. */
  #seen(candidates: readonly number[]): Seen[] {
    return candidates
      .filter((pid) => pid !== this.#first && this.#isInside(pid))
      .map(see)
      .filter((seen) => seen !== null);
  }

  #isInside(pid: number): boolean {
    try {
      return readlinkSync(`/proc/${pid}/ns/pid`) === this.#namespace;
    } catch {
      return false;
    }
  }

  #childrenOf(parent: number): number[] {
    try {
      const pids = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").split(" ").map(Number);
      return pids.filter((pid) => pid > 1 && this.#isInside(pid));
    } catch {
      return []; // it has ended
    }
  }

  #send(pid: number, signal: SandboxSignal): boolean {
    return this.#isInside(pid) && send(pid, signal); // S1
  }

  /** Signals the group that a process leads. @returns false when it leads none */
  #sendToGroup(pid: number, signal: SandboxSignal): boolean {
    return this.#isInside(pid) && send(-pid, signal); // S1
  }
}

const allProcesses = (): number[] => readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? Number(name) : []));

function see(pid: number): Seen | null {
  try {
    // The process name in front may contain anything, also spaces and parentheses.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return {
      pid,
      state: fields[0] ?? "",
      parent: Number(fields[1]),
      group: Number(fields[2]),
      startedAt: fields[19] ?? "",
    };
  } catch {
    return null;
  }
}

const isOurs = (waiter: number): boolean => see(waiter)?.parent === process.pid;

const sendToWaiter = (waiter: number, signal: SandboxSignal): boolean => isOurs(waiter) && send(waiter, signal); // S1

/** @returns false when there is no such process or group, or we may not signal it */
function send(pid: number, signal: SandboxSignal): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
