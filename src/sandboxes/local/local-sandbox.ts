import { openSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, posix } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import type { Failure } from "../../shared/error-code.ts";
import { type ExecRequest, FileError, type Sandbox, type SandboxProcess, type SandboxSignal } from "../port.ts";
import { CommandOutput } from "./command-output.ts";
import type { FifoStock } from "./fifo-stock.ts";
import type { Enclosure } from "./isolation.ts";
import type { SandboxDirs } from "./layout.ts";
import { collect, readSandboxFile, writeSandboxFile } from "./local-files.ts";
import { startLocalProcess } from "./local-process.ts";

export interface LocalSandboxParts {
  readonly id: string;
  readonly dirs: SandboxDirs;
  readonly enclosure: Enclosure;
  readonly diskLimitMiB: number;
  readonly clock: Clock;
  readonly fifos: FifoStock;
  readonly terminate: () => Promise<void>;
}

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
  readonly diskLimitMiB: number;
  readonly #clock: Clock;
  readonly #fifos: FifoStock;
  readonly #terminate: () => Promise<void>;
  readonly #running = new Set<SandboxProcess>();
  readonly #lingering = new Set<CommandOutput>();
  #lastLog: Promise<number> | null = null;

  constructor(parts: LocalSandboxParts) {
    this.id = parts.id;
    this.dirs = parts.dirs;
    this.enclosure = parts.enclosure;
    this.diskLimitMiB = parts.diskLimitMiB;
    this.workdir = parts.enclosure.workdir;
    this.home = parts.enclosure.home;
    this.notes = parts.enclosure.notes;
    this.ended = parts.enclosure.ended;
    this.#clock = parts.clock;
    this.#fifos = parts.fifos;
    this.#fifos.prepare();
    this.#terminate = parts.terminate;
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
    const log = logName === null ? null : this.#openLog(logName);
    const started = await startLocalProcess({
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
      signalInside: this.enclosure.ownProcessIDs ? (pid, signal) => this.#signalInside(pid, signal, tty) : null,
    });
    this.#running.add(started);
    void started.exit.then(() => this.#running.delete(started));
    return started;
  }

  readFile(path: string, range: { readonly offset: number; readonly maxBytes: number }): Promise<Uint8Array> {
    return readSandboxFile((argv) => this.start({ argv }), path, range);
  }

  writeFile(path: string, content: Uint8Array, options?: { readonly executable?: boolean }): Promise<void> {
    return writeSandboxFile((argv) => this.start({ argv }), path, content, options?.executable ?? false);
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

  // By pids of the sandbox's own, where the worst mistake hits a process of the same sandbox.
  async #signalInside(pid: string, signal: SandboxSignal, tty: boolean): Promise<void> {
    const killer = await this.start({
      argv: ["/bin/sh", "-c", SIGNAL, "signal", pid, signal.slice(3), tty && signal !== "SIGKILL" ? "below" : "all"],
    });
    await collect(killer.output, "stderr", 0);
  }
}

// A terminal's command leads a session of its own below `script`, which is to live and report its end.
const SIGNAL = `
children=$(cat "/proc/$1/task/$1/children" 2>/dev/null)
[ "$3" = below ] || kill -s "$2" -- "-$1" 2>/dev/null
for child in $children; do kill -s "$2" -- "-$child" 2>/dev/null || { [ "$3" = below ] && kill -s "$2" "$child" 2>/dev/null; }; done
true`;
