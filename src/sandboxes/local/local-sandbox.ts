import { openSync } from "node:fs";
import { chmod, readdir, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { Failure } from "../../shared/error-code.ts";
import { type ExecRequest, FileError, type Sandbox, type SandboxProcess } from "../port.ts";
import { CommandOutput } from "./command-output.ts";
import type { FifoStock } from "./fifo-stock.ts";
import type { Enclosure, ResourceLimits } from "./isolation.ts";
import { PARTS, type SandboxDirs } from "./layout.ts";
import { readSandboxFile, writeSandboxFile } from "./local-files.ts";
import { startLocalProcess } from "./local-process.ts";

export interface LocalSandboxParts {
  readonly id: string;
  readonly dirs: SandboxDirs;
  readonly enclosure: Enclosure;
  readonly limits: ResourceLimits;
  /** Besides those of its enclosure. */
  readonly notes?: readonly string[];
  readonly clock: Clock;
  readonly fifos: FifoStock;
  readonly terminate: () => Promise<void>;
  /** Walls of their own around its directories; null where it is such a view itself. */
  readonly openView: (() => Promise<LocalSandbox>) | null;
}

/** A command on its way in is not to be stopped half way, as long as nobody holds it up. */
const STARTS_MS = 1_000;

export class LocalSandbox implements Sandbox {
  readonly id: string;
  readonly workdir: string;
  readonly home: string;
  readonly notes: readonly string[];
  readonly gpu = null;
  readonly ports = [];
  readonly ended: Promise<Failure | null>;
  readonly dirs: SandboxDirs;
  readonly enclosure: Enclosure;
  readonly limits: ResourceLimits;
  readonly #clock: Clock;
  readonly #fifos: FifoStock;
  readonly #terminate: () => Promise<void>;
  readonly view: Sandbox["view"];
  readonly #starting = new Set<Promise<unknown>>();
  /** Resolves when nobody has the sandbox stand still any more. */
  #disturbed: Promise<void> = Promise.resolve();
  readonly #running = new Set<SandboxProcess>();
  readonly #lingering = new Set<CommandOutput>();
  #lastLog: Promise<number> | null = null;

  constructor(parts: LocalSandboxParts) {
    this.id = parts.id;
    this.dirs = parts.dirs;
    this.enclosure = parts.enclosure;
    this.limits = parts.limits;
    this.workdir = parts.enclosure.workdir;
    this.home = parts.enclosure.home;
    this.notes = [...parts.enclosure.notes, ...(parts.notes ?? [])];
    this.ended = parts.enclosure.ended;
    this.#clock = parts.clock;
    this.#fifos = parts.fifos;
    this.#fifos.prepare();
    this.#terminate = parts.terminate;
    const { openView } = parts;
    this.view = openView && ((use) => this.whileStill(() => withView(parts.dirs, openView, use)));
  }

  async start(request: ExecRequest): Promise<SandboxProcess> {
    const [program] = request.argv;
    if (!program) throw new FileError("file_failed", "A command needs at least a program to run.");
    if ([...request.argv, request.workdir ?? ""].some((word) => word.includes("\0")))
      throw new FileError("file_failed", "A command cannot contain NUL bytes.");
    const workdir = posix.resolve(this.workdir, request.workdir ?? ".");
    const tty = request.tty ?? false;
    const logName = request.keepLog ? `${await this.#newLogNumber()}.log` : null;
    const [stdout, stderr] = await this.#fifos.takePair();
    await this.#disturbed;
    const log = logName === null ? null : this.#openLog(logName);
    const starting = startLocalProcess({
      enclosure: this.enclosure,
      launch: () => this.enclosure.launch({ argv: request.argv, workdir, env: request.env ?? {}, tty }),
      output: new CommandOutput({
        stdout: stdout.readEnd,
        stderr: stderr.readEnd,
        log: log?.fd ?? null,
        clock: this.#clock,
        lingering: this.#lingering,
      }),
      writeEnds: [stdout.writeEnd, stderr.writeEnd],
      clock: this.#clock,
      workdir,
      logPath: log?.path ?? null,
      tty,
      undisturbed: () => this.#disturbed,
    });
    this.#starting.add(starting);
    const started = await starting.finally(() => this.#starting.delete(starting));
    this.#running.add(started);
    void started.exit.then(() => this.#running.delete(started));
    return started;
  }

  readFile(path: string, range: { readonly offset: number; readonly maxBytes: number }): Promise<Uint8Array> {
    return readSandboxFile(this.#fileDeps(), path, range);
  }

  writeFile(path: string, content: Uint8Array, options?: { readonly executable?: boolean }): Promise<void> {
    return writeSandboxFile(this.#fileDeps(), path, content, options?.executable ?? false);
  }

  /** Lets `work` have the files while nothing of the job's runs, one at a time; commands wait for its end. */
  async whileStill<T>(work: () => Promise<T>): Promise<T> {
    const former = this.#disturbed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#disturbed = promise;
    let letGo = async () => {};
    try {
      await former;
      await Promise.race([Promise.allSettled(this.#starting), sleep(this.#clock, STARTS_MS)]);
      letGo = await this.enclosure.still();
      return await work();
    } finally {
      await letGo().finally(resolve);
    }
  }

  terminate(): Promise<void> {
    return this.#terminate();
  }

  /** Ends every process and keeps the files. */
  async halt(reason: Failure | null): Promise<void> {
    // Walls without namespaces do not take their processes with them.
    await Promise.allSettled([...this.#running].map((each) => each.signal("SIGKILL")));
    await this.enclosure.close(reason);
    for (const output of [...this.#lingering]) output.close();
  }

  #fileDeps() {
    return { start: (argv: readonly string[]) => this.start({ argv }), clock: this.#clock };
  }

  #newLogNumber(): Promise<number> {
    const last =
      this.#lastLog ??
      readdir(this.dirs.logs).then((names) => Math.max(0, ...names.map((name) => Number.parseInt(name, 10) || 0)));
    this.#lastLog = last.then((number) => number + 1);
    return this.#lastLog;
  }

  // Written by the host into a directory that is read-only inside: a job cannot lead the host's writes elsewhere.
  #openLog(name: string): { readonly path: string; readonly fd: number } | null {
    try {
      return { path: posix.join(this.enclosure.logs, name), fd: openSync(join(this.dirs.logs, name), "wx", 0o600) };
    } catch {
      return null; // A full disk costs the log, not the command.
    }
  }
}

async function withView<T>(
  dirs: SandboxDirs,
  open: () => Promise<LocalSandbox>,
  use: (files: Sandbox) => Promise<T>,
): Promise<T> {
  const close = await openTops(dirs);
  try {
    const view = await open();
    return await use(view).finally(() => view.halt(null));
  } finally {
    await close();
  }
}

/** The job may have shut itself, and so us, out of its own directories; the returned function leaves them as they were. */
async function openTops(dirs: SandboxDirs): Promise<() => Promise<void>> {
  const shut: (readonly [path: string, mode: number])[] = [];
  for (const part of PARTS) {
    const { mode } = await stat(dirs[part]);
    if ((mode & 0o700) === 0o700) continue;
    shut.push([dirs[part], mode & 0o7777]);
    await chmod(dirs[part], (mode & 0o7777) | 0o700);
  }
  return async () => {
    for (const [path, mode] of shut) await chmod(path, mode);
  };
}
