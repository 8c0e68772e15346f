import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";
import type { SandboxSignal } from "../../port.ts";
import type { TreeSize } from "../tree-measure.ts";
import { heldFiles } from "./held-files.ts";

/*
 * The processes of one sandbox as the host sees them. Nothing is asked of anyone inside: whatever enters can be stopped
 * or killed there by the job's own processes. S1: a pid is used in the same breath in which its namespace was looked
 * at, so that a pid given away meanwhile does not lead to a process of the host; that of a waiter, our child, while it
 * is ours still.
 */

/** The kernel needs that long at most for thousands of processes; who does not end in it waits for a device. */
const GONE_MS = 10_000;
const LOOK_MS = 5;
/** For all to come to a stand. A process that forks and ends without a pause may escape for longer. */
const STILL_MS = 2_000;

/** Between looks at who stopped for the sake of another. */
const FOLLOWERS_MS = [0, 10, 40];

interface Seen {
  readonly pid: number;
  /** As in /proc/<pid>/stat: R, S, D, T (stopped), t (traced), Z. */
  readonly state: string;
  readonly parent: number;
  /** Tells it from a later one with the same pid. */
  readonly startedAt: string;
}

export class SandboxProcesses {
  readonly #namespace: string;
  readonly #first: number;
  readonly #clock: Clock;

  /**
   * @param namespace inode number of the pid namespace, which must be held open: the number is given away with it
   * @param first host pid of the sandbox's first process
   */
  constructor(namespace: number, first: number, clock: Clock) {
    this.#namespace = `pid:[${namespace}]`;
    this.#first = first;
    this.#clock = clock;
  }

  /**
   * Signals the process group of a command, and those that its children lead.
   * @param waiter pid of our child that waits for it on the host
   * @param below only what runs below it: a terminal's `script` is to live and report the end
   */
  signal(waiter: number, signal: SandboxSignal, below: boolean): void {
    const [command] = this.#childrenOf(waiter);
    if (command !== undefined) {
      const children = this.#childrenOf(command);
      if (!below) this.#sendToGroup(command, signal);
      for (const child of children) if (!this.#sendToGroup(child, signal) && below) this.#send(child, signal);
    }
    // The waiter stops with its command, and would never report its end.
    if (signal === "SIGCONT" || signal === "SIGKILL") sendToWaiter(waiter, "SIGCONT");
  }

  /** Wakes a waiter that stopped with its command, once that goes on or has ended: the job woke it, who tells nobody here. */
  follow(waiter: number): void {
    if (see(waiter)?.state !== "T") return;
    const [command] = this.#childrenOf(waiter);
    if (command === undefined || see(command)?.state !== "T") sendToWaiter(waiter, "SIGCONT");
  }

  /** Kills a command, and its waiter, that may be anywhere on its way in. */
  abandon(waiter: number): void {
    if (!sendToWaiter(waiter, "SIGSTOP")) return; // or it could make a child after we have looked
    for (const child of this.#childrenOf(waiter))
      if (!this.#sendToGroup(child, "SIGKILL")) this.#send(child, "SIGKILL");
    if (isOurs(waiter)) send(-waiter, "SIGKILL"); // S1
  }

  /**
   * Stops everything but the first process. What the job had stopped itself stays stopped afterwards.
   * @returns lets it go on
   */
  async still(): Promise<() => Promise<void>> {
    const stopped = new Map<number, Seen>();
    const waiters = new Map<number, Seen>();
    const until = this.#clock.now() + STILL_MS;
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
      await sleep(this.#clock, LOOK_MS);
    }
    return async () => {
      if (stopped.size === 0) return;
      const stillStopped = ({ pid, startedAt }: Seen) => {
        const now = see(pid);
        return now?.startedAt === startedAt && now.state !== "R" && now.state !== "S";
      };
      for (const one of stopped.values()) if (stillStopped(one)) this.#send(one.pid, "SIGCONT");
      // Some programs stop when what they wait for stops (script, nsenter), and hear of that only now.
      const parents = new Set([...stopped.values()].map(({ parent }) => parent));
      const followers = [...stopped.values()].filter(({ pid }) => parents.has(pid));
      for (const pauseMs of FOLLOWERS_MS) {
        for (const one of waiters.values()) if (stillStopped(one)) sendToWaiter(one.pid, "SIGCONT");
        for (const one of followers) if (stillStopped(one)) this.#send(one.pid, "SIGCONT");
        await sleep(this.#clock, pauseMs);
      }
    };
  }

  /** What they have open of files that were deleted, on the file system of `folder`. */
  held(folder: string): Promise<TreeSize> {
    return heldFiles(
      this.#list().map(({ pid }) => pid),
      folder,
    );
  }

  /** Waits for the end of them all once the first has been killed; resolves with how many are left after all the same. */
  async gone(): Promise<number> {
    const until = this.#clock.now() + GONE_MS;
    // The kernel keeps the first process until every other one of its namespace has ended.
    while (this.#isInside(this.#first) && !"ZX".includes(see(this.#first)?.state ?? "X")) {
      if (this.#clock.now() >= until) return this.#list().length + 1;
      // A waiter that stopped with its command is to wait for its end, which the first process waits for in turn.
      for (const { parent } of this.#seen()) sendToWaiter(parent, "SIGCONT");
      await sleep(this.#clock, LOOK_MS);
    }
    return 0;
  }

  #list(): Seen[] {
    return this.#seen().filter(({ state }) => state !== "Z" && state !== "X");
  }

  /** Those that have ended and are not reaped too. */
  #seen(): Seen[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
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
      return []; // It has ended.
    }
  }

  #send(pid: number, signal: SandboxSignal): boolean {
    return this.#isInside(pid) && send(pid, signal); // S1
  }

  /** The group that a process leads; false when it leads none. */
  #sendToGroup(pid: number, signal: SandboxSignal): boolean {
    return this.#isInside(pid) && send(-pid, signal); // S1
  }
}

function see(pid: number): Seen | null {
  try {
    // The name before it may hold anything, spaces and parentheses too.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return { pid, state: fields[0] ?? "", parent: Number(fields[1]), startedAt: fields[19] ?? "" };
  } catch {
    return null;
  }
}

const isOurs = (waiter: number): boolean => see(waiter)?.parent === process.pid;

const sendToWaiter = (waiter: number, signal: SandboxSignal): boolean => isOurs(waiter) && send(waiter, signal); // S1

/** false when there is no such process or group, or none that is ours to signal. */
function send(pid: number, signal: SandboxSignal): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
