import { openSync } from "node:fs";
import { chmod, readdir, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { type Clock, sleep } from "../../shared/clock.ts";
import { type Failure, PluginError } from "../../shared/error-code.ts";
import { type ExecRequest, FileError, type Sandbox, type SandboxGpu, type SandboxProcess } from "../port.ts";
import { CommandOutput } from "./command-output.ts";
import type { FifoPool } from "./fifo-pool.ts";
import type { Isolation, ResourceLimits } from "./isolation.ts";
import { PARTS, readMeta, replaceMeta, type SandboxDirs, type SandboxMeta } from "./layout.ts";
import { readSandboxFile, writeSandboxFile } from "./local-files.ts";
import { startLocalProcess } from "./local-process.ts";
import { toShortage } from "./shortage.ts";

export interface LocalSandboxParts {
  readonly id: string;
  readonly dirs: SandboxDirs;
  readonly isolation: Isolation;
  readonly limits: ResourceLimits;
  /** Notes for the job besides those of the isolation. */
  readonly notes?: readonly string[];
  /** null = none. */
  readonly gpu?: SandboxGpu | null;
  readonly clock: Clock;
  readonly fifos: FifoPool;
  readonly terminate: () => Promise<void>;
  /** Opens a second isolation around its directories; null where this sandbox is such a view itself. */
  readonly openView: (() => Promise<LocalSandbox>) | null;
}

/** How long freezing waits for commands that are being started, so that none is stopped half way in. */
const STARTS_MS = 1_000;

export class LocalSandbox implements Sandbox {
  readonly id: string;
  readonly workdir: string;
  readonly home: string;
  readonly notes: readonly string[];
  readonly gpu: SandboxGpu | null;
  readonly ports = [];
  readonly ended: Promise<Failure | null>;
  readonly dirs: SandboxDirs;
  readonly isolation: Isolation;
  readonly limits: ResourceLimits;
  readonly #clock: Clock;
  readonly #fifos: FifoPool;
  readonly #terminate: () => Promise<void>;
  readonly view: Sandbox["view"];
  readonly reloadVolumes = null;
  readonly memory: Sandbox["memory"];
  readonly processes: Sandbox["processes"];
  readonly network: Sandbox["network"];
  readonly usage = null;
  readonly billedSince = null;
  readonly #starting = new Set<Promise<unknown>>();
  /** Resolves when the sandbox is no longer frozen. */
  #unfrozen: Promise<void> = Promise.resolve();
  readonly #running = new Set<SandboxProcess>();
  readonly #lingering = new Set<CommandOutput>();
  #lastLog: Promise<number> | null = null;
  #isHalted = false;

  constructor(parts: LocalSandboxParts) {
    this.id = parts.id;
    this.dirs = parts.dirs;
    this.isolation = parts.isolation;
    this.limits = parts.limits;
    this.gpu = parts.gpu ?? null;
    this.workdir = parts.isolation.workdir;
    this.home = parts.isolation.home;
    this.notes = [...parts.isolation.notes, ...(parts.notes ?? [])];
    this.ended = parts.isolation.ended;
    const { memoryKills, processRefusals } = parts.isolation;
    this.memory = memoryKills && { limitMiB: parts.limits.memoryMiB, kills: memoryKills };
    this.processes = processRefusals && { limit: parts.limits.processes, refusals: processRefusals };
    this.network = parts.isolation.network;
    this.#clock = parts.clock;
    this.#fifos = parts.fifos;
    this.#fifos.prepare();
    this.#terminate = parts.terminate;
    const { openView } = parts;
    this.view = openView && ((use) => this.whileFrozen(() => withView(parts.dirs, openView, use)));
  }

  async start(request: ExecRequest): Promise<SandboxProcess> {
    const [program] = request.argv;
    if (!program) throw new FileError("file_failed", "A command needs at least a program to run.");
    if ([...request.argv, request.workdir ?? ""].some((word) => word.includes("\0")))
      throw new FileError("file_failed", "A command cannot contain NUL bytes.");
    return this.#start(request).catch((error: Error) => {
      if (error instanceof PluginError) throw error;
      throw toShortage(error, "The command cannot be started") ?? error;
    });
  }

  async #start(request: ExecRequest): Promise<SandboxProcess> {
    const workdir = posix.resolve(this.workdir, request.workdir ?? ".");
    const tty = request.tty ?? false;
    const logName = request.keepLog ? `${await this.#newLogNumber()}.log` : null;
    const [stdout, stderr] = await this.#fifos.takePair();
    await this.#unfrozen;
    const log = logName === null ? null : this.#openLog(logName);
    const starting = startLocalProcess({
      isolation: this.isolation,
      launch: () => this.isolation.launch({ argv: request.argv, workdir, env: request.env ?? {}, tty }),
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
      hasInput: request.noInput !== true,
      unfrozen: () => this.#unfrozen,
      isHalted: () => this.#isHalted,
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

  /** Runs `work` with all processes of the job frozen; calls run one at a time, and new commands wait until it is done. */
  async whileFrozen<T>(work: () => Promise<T>): Promise<T> {
    const former = this.#unfrozen;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#unfrozen = promise;
    let resume = async () => {};
    try {
      await former;
      await Promise.race([Promise.allSettled(this.#starting), sleep(this.#clock, STARTS_MS)]);
      resume = await this.isolation.freeze();
      return await work();
    } finally {
      await resume().finally(resolve);
    }
  }

  async setTags(tags: Readonly<Record<string, string>>): Promise<void> {
    const meta = readMeta<SandboxMeta>(this.dirs.root);
    if (meta === null || meta === "damaged")
      throw new PluginError("sandbox_lost", `The record of sandbox ${this.id} is gone.`, { retryable: false });
    replaceMeta(this.dirs.root, { ...meta, tags });
  }

  terminate(): Promise<void> {
    return this.#terminate();
  }

  /** Ends every process and keeps the files. @param reason what `ended` resolves with */
  async halt(reason: Failure | null): Promise<void> {
    this.#isHalted = true;
    // An isolation without namespaces does not take its processes with it.
    await Promise.allSettled([...this.#running].map((each) => each.signal("SIGKILL")));
    await this.isolation.close(reason);
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

  // The host writes logs into a directory that is read-only inside, so no job can redirect the host's writes.
  #openLog(name: string): { readonly path: string; readonly fd: number } | null {
    try {
      return { path: posix.join(this.isolation.logs, name), fd: openSync(join(this.dirs.logs, name), "wx", 0o600) };
    } catch {
      return null; // a full disk costs the log, not the command
    }
  }
}

async function withView<T>(
  dirs: SandboxDirs,
  open: () => Promise<LocalSandbox>,
  use: (files: Sandbox) => Promise<T>,
): Promise<T> {
  const restoreModes = await openTopFolders(dirs);
  try {
    const view = await open();
    return await use(view).finally(() => view.halt(null));
  } finally {
    await restoreModes();
  }
}

/** Makes the parts accessible: a job can lock itself, and so us, out of them. The returned function restores the modes. */
async function openTopFolders(dirs: SandboxDirs): Promise<() => Promise<void>> {
  const locked: (readonly [path: string, mode: number])[] = [];
  for (const part of PARTS) {
    const { mode } = await stat(dirs[part]).catch((error: Error & { code?: string }) => {
      if (error.code !== "ENOENT") throw error;
      throw new PluginError("sandbox_lost", "The files of this sandbox are gone.", { cause: error, retryable: false });
    });
    if ((mode & 0o700) === 0o700) continue;
    locked.push([dirs[part], mode & 0o7777]);
    await chmod(dirs[part], (mode & 0o7777) | 0o700);
  }
  return async () => {
    for (const [path, mode] of locked) await chmod(path, mode);
  };
}

/** @throws PluginError `snapshot_failed` */
export function toLocal(sandbox: Sandbox): LocalSandbox {
  if (sandbox instanceof LocalSandbox) return sandbox;
  throw new PluginError("snapshot_failed", `Sandbox ${sandbox.id} is not a local sandbox.`, { retryable: false });
}
