import type { Socket } from "node:net";
import { join } from "node:path";
import { killGroupOf, type Machine } from "./machine.ts";
import { Code, Refusal } from "./refusal.ts";
import type { Streams } from "./spawner.ts";
import { Spool } from "./spool.ts";

export interface ExecExit {
  readonly code?: number;
  readonly signal?: number;
}

export interface Stdin {
  write(bytes: Uint8Array): Promise<void>;
  end(): void;
}

export interface ExecPlan {
  readonly id: string;
  readonly argv: readonly string[];
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number | null;
  readonly pty: boolean;
  /** Bytes of output after which the command's pipe is closed. */
  readonly maxOutputBytes: number;
}

const KILLED: ExecExit = { signal: 9 };
// A child that outlives the command may hold the pipes. They are read until quiet for this time, or up to this amount.
const QUIET_MS = 40;
const DRAIN_BYTES = 4 * 1024 * 1024;

/** An executed command as the router knows it: its whole output, standard input by offset, and its exit. */
export class Exec {
  readonly id: string;
  readonly argv: readonly string[];
  readonly stdout: Spool;
  readonly stderr: Spool;
  readonly exited: Promise<ExecExit>;
  exit: ExecExit | null = null;
  /** Bytes of standard input accepted so far. */
  taken = 0;
  stdinClosed = false;
  /** Counts stdin streams. A newer stream, or a status request, ends the older one. */
  stdinEpoch = 0;
  kill: () => void = () => {};
  readonly #stdin: Promise<Stdin | null>;
  #connect: (stdin: Stdin) => void = () => {};
  #finish: (exit: ExecExit) => void = () => {};
  #writes: Promise<void> = Promise.resolve();

  constructor(id: string, argv: readonly string[], scratch: string) {
    this.id = id;
    this.argv = argv;
    this.stdout = new Spool(join(scratch, `${id}.out`));
    this.stderr = new Spool(join(scratch, `${id}.err`));
    this.exited = new Promise((resolve) => {
      this.#finish = resolve;
    });
    // Input that arrives before the command runs waits for it; after its end input is discarded.
    const connected = new Promise<Stdin>((resolve) => {
      this.#connect = resolve;
    });
    this.#stdin = Promise.race([connected, this.exited.then(() => null)]);
  }

  connect(stdin: Stdin): void {
    this.#connect(stdin);
  }

  finish(exit: ExecExit): void {
    if (this.exit !== null) return;
    this.exit = exit;
    this.stdout.end();
    this.stderr.end();
    this.#finish(exit);
  }

  /** Accepts the part of `data`, starting at `offset`, that is new. Calls take effect in order. @throws Refusal */
  async writeStdin(offset: number, data: Uint8Array, eof: boolean): Promise<void> {
    const turn = this.#writes.then(async () => {
      const stdin = await this.#stdin;
      if (data.length > 0) {
        if (stdin === null || this.exit !== null || this.stdinClosed) this.#broken("it is closed");
        if (offset > this.taken)
          throw new Refusal(Code.INVALID_ARGUMENT, `Offset ${offset} is past the ${this.taken} bytes taken.`);
        const fresh = data.subarray(this.taken - offset);
        if (fresh.length > 0) await stdin?.write(fresh).catch((error: Error) => this.#broken(error.message));
        this.taken += fresh.length;
      }
      if (eof && !this.stdinClosed) {
        this.stdinClosed = true;
        stdin?.end();
      }
    });
    this.#writes = turn.catch(() => {});
    return turn;
  }

  drop(): void {
    this.stdout.drop();
    this.stderr.drop();
  }

  #broken(why: string): never {
    this.stdinClosed = true;
    throw new Refusal(Code.FAILED_PRECONDITION, `Standard input of exec ${this.id} takes nothing more: ${why}.`);
  }
}

/** Starts the real process of an Exec. */
export function runCommand(plan: ExecPlan, machine: Machine, scratch: string): Exec {
  const exec = new Exec(plan.id, plan.argv, scratch);
  const child = machine.spawn({
    argv: plan.pty ? inTerminal(plan.argv) : plan.argv,
    workdir: plan.workdir,
    env: plan.env,
  });
  const timer = plan.timeoutMs === null ? undefined : setTimeout(() => exec.kill(), plan.timeoutMs);
  let killed = false;
  let lastDataAt = 0;
  let afterExit = -1;
  let exit: ExecExit | null = null;
  exec.kill = () => {
    if (exit !== null) return; // its pid may be that of another process by now
    killed = true;
    void killGroupOf(child);
  };
  const finish = (streams: Streams | null) => {
    clearTimeout(timer);
    for (const stream of Object.values(streams ?? {})) stream.destroy();
    exec.finish(exit ?? KILLED);
  };
  const follow = (stream: Socket, spool: Spool) => {
    stream.on("data", (bytes: Buffer) => {
      lastDataAt = performance.now();
      if (afterExit >= 0) afterExit += bytes.length;
      spool.append(bytes);
      if (spool.size > plan.maxOutputBytes) stream.destroy();
    });
    return new Promise((resolve) => stream.once("close", resolve));
  };
  void child.streams.then(async (streams) => {
    if (streams === null) return;
    const { stdin, stdout, stderr } = streams;
    exec.connect({
      write: (bytes) =>
        new Promise((resolve, reject) => {
          stdin.write(bytes, (error) => (error ? reject(error) : resolve()));
          void exec.exited.then(() => reject(new Error("it has ended")));
        }),
      end: () => void stdin.end(),
    });
    await Promise.all([follow(stdout, exec.stdout), follow(stderr, exec.stderr), child.exited]);
    finish(streams);
  });
  void child.exited.then(async ({ code, error }) => {
    if (error !== null) exec.stderr.append(Buffer.from(`${error}\n`));
    exit = error !== null ? { code: 127 } : killed || code === null ? KILLED : { code };
    const streams = await child.streams; // what it printed may come after the news of its end
    if (streams === null) return finish(null);
    afterExit = 0;
    lastDataAt = performance.now();
    const look = () => {
      if (exec.exit !== null) return;
      if (performance.now() - lastDataAt >= QUIET_MS || afterExit > DRAIN_BYTES) finish(streams);
      else lookIn(QUIET_MS / 4);
    };
    // After a turn of the event loop, because a busy server comes to its timers before it has read what is in the pipes.
    const lookIn = (ms: number) => void setTimeout(() => setImmediate(look), ms);
    lookIn(QUIET_MS);
  });
  return exec;
}

// Modal's terminal: of fixed size, with stderr merged into stdout.
function inTerminal(argv: readonly string[]): string[] {
  const words = argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return ["/usr/bin/script", "-qefc", `stty rows 24 cols 80; exec ${words}`, "/dev/null"];
}
