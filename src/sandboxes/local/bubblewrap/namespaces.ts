import { close, closeSync, fstatSync, openSync, readlinkSync, statSync } from "node:fs";

/*
 * The namespaces of a sandbox, held by descriptors that are opened once. N1: no later step uses a pid, because a reused pid
 * would turn "run it in the sandbox" into "run it on the host".
 */

const KINDS = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] as const;
export type NamespaceKind = (typeof KINDS)[number];

export class Namespaces {
  readonly #fds: ReadonlyMap<NamespaceKind, number>;
  readonly #process: number;
  #open = true;
  #holders = 0;

  private constructor(fds: ReadonlyMap<NamespaceKind, number>, process_: number) {
    this.#fds = fds;
    this.#process = process_;
  }

  /**
   * @param pid a process whose parent has not reaped it
   * @param expected inode numbers as bwrap reported them, by `<kind>-namespace`
   * @throws Error when a namespace is not the expected one or is the host's
   */
  static of(pid: number, expected: Readonly<Record<string, number>>): Namespaces {
    // Paths through this descriptor lead to this process or, once it has ended, nowhere.
    const process_ = openSync(`/proc/${pid}`, "r");
    const fds = new Map<NamespaceKind, number>();
    try {
      for (const kind of KINDS) {
        const path = `/proc/self/fd/${process_}/ns/${kind}`;
        if (kind === "cgroup" && readlinkSync(path) === readlinkSync("/proc/self/ns/cgroup")) continue;
        const fd = openSync(path, "r");
        fds.set(kind, fd);
        const inode = fstatSync(fd).ino;
        const claimed = expected[`${kind}-namespace`];
        if (claimed !== undefined && claimed !== inode)
          throw new Error(`the ${kind} namespace is not the one that was made`);
        if (inode === statSync(`/proc/self/ns/${kind}`).ino) throw new Error(`the ${kind} namespace is the host's`);
      }
      for (const kind of ["mnt", "pid", "net"])
        if (expected[`${kind}-namespace`] === undefined) throw new Error(`bwrap did not report the ${kind} namespace`);
      return new Namespaces(fds, process_);
    } catch (error) {
      for (const fd of [process_, ...fds.values()]) closeSync(fd);
      throw error;
    }
  }

  /** Arguments for nsenter, which opens the paths itself, so that no descriptor is inherited by the command. */
  enterArgs(kinds: readonly NamespaceKind[] = KINDS): string[] {
    return kinds.flatMap((kind) =>
      this.#fds.has(kind) ? [`--${kind === "mnt" ? "mount" : kind}=${this.path(kind)}`] : [],
    );
  }

  /** Path by which other programs can open the namespace. @throws Error once closed: by then the descriptor may be another file */
  path(kind: NamespaceKind): string {
    const fd = this.#fds.get(kind);
    if (!this.#open || fd === undefined) throw new Error(`the ${kind} namespace is not held`);
    return `/proc/${process.pid}/fd/${fd}`;
  }

  /** Path by which other programs can read a file of /proc/<pid>; it leads nowhere once the process has ended. */
  processFile(name: string): string {
    return `/proc/${process.pid}/fd/${this.#process}/${name}`;
  }

  /**
   * Keeps the descriptors open until the returned function is called. A program that was given a path opens it a moment
   * later, and must not find another sandbox's namespace under the same number.
   */
  hold(): () => void {
    let held = true;
    this.#holders += 1;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      this.#closeIfUnused();
    };
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closeIfUnused();
  }

  #closeIfUnused(): void {
    if (this.#open || this.#holders > 0) return;
    // Not while everybody waits: with the last descriptor the kernel takes the sandbox's mounts apart.
    for (const fd of [this.#process, ...this.#fds.values()]) close(fd, () => {});
  }
}
