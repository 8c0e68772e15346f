import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";

/*
 * Starts the server's processes through a small helper process. A process that starts another copies its own page tables
 * and waits until the other runs: with hundreds of MiB, and hundreds of commands at once, the server would answer nobody
 * for half a minute.
 */

/** What the helper is asked. */
export type Asked =
  | { readonly kind: "run"; readonly id: number; readonly file: string; readonly args: readonly string[]; readonly env: Env }
  | ({ readonly kind: "start"; readonly id: number } & Start)
  | { readonly kind: "kill"; readonly id: number }; // biome-ignore format: a table

/** What it tells. */
export type Told =
  | { readonly kind: "started"; readonly id: number; readonly pid: number }
  | ({ readonly kind: "exited"; readonly id: number } & Exited);

type Env = Readonly<Record<string, string>>;

export interface Start {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Env;
  /** Files that it finds open, from descriptor 3 on. */
  readonly opens: readonly { readonly path: string; readonly flags: "r" | "w" }[];
}

export interface Exited {
  /** null = by a signal, or it never ran. */
  readonly code: number | null;
  /** Its stderr, of a program that was only run. */
  readonly said: string;
  /** Why it could not be started. */
  readonly error: string | null;
}

export interface Streams {
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
}

/** A process, whose streams are connections. */
export interface Child {
  /** 0 = it could not be started. */
  readonly pid: Promise<number>;
  /** null = it could not be started. They may come after its exit. */
  readonly streams: Promise<Streams | null>;
  readonly exited: Promise<Exited>;
  /** Has an effect only while it runs. */
  kill(): void;
}

/** First bytes of a connection: whose stream it is, and which. */
export const headOf = (id: number, fd: number): string => `${id}:${fd}`.padEnd(HEAD_BYTES);
const HEAD_BYTES = 16;

/** An address without a file, which no sandbox can reach. */
export const addressOf = (name: string): string => `\0${name}`;

const NODE = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));
const MAIN = fileURLToPath(new URL("spawner-main.ts", import.meta.url));

type Deferred<T> = ReturnType<typeof Promise.withResolvers<T>>;

interface Known {
  readonly pid: Deferred<number>;
  readonly streams: Deferred<Streams | null>;
  readonly exited: Deferred<Exited>;
  readonly isRun: boolean;
  readonly sockets: Map<number, Socket>;
}

class Spawner {
  readonly #known = new Map<number, Known>();
  readonly #helper: Promise<ChildProcess>;
  #count = 0;

  constructor() {
    this.#helper = this.#open();
  }

  start(request: Start): Child {
    const { id, pid, streams, exited } = this.#ask((id) => ({ kind: "start", id, ...request }));
    return {
      pid: pid.promise,
      streams: streams.promise,
      exited: exited.promise,
      kill: () => void this.#helper.then((helper) => helper.send({ kind: "kill", id } satisfies Asked)),
    };
  }

  run(file: string, args: readonly string[], env: Env): Promise<Exited> {
    return this.#ask((id) => ({ kind: "run", id, file, args, env })).exited.promise;
  }

  #ask(toAsked: (id: number) => Asked): Known & { readonly id: number } {
    this.#count += 1;
    const id = this.#count;
    const asked = toAsked(id);
    const known: Known = {
      isRun: asked.kind === "run",
      pid: Promise.withResolvers(),
      streams: Promise.withResolvers(),
      exited: Promise.withResolvers(),
      sockets: new Map(),
    };
    this.#known.set(id, known);
    void this.#helper.then((helper) => helper.send(asked));
    return { ...known, id };
  }

  async #open(): Promise<ChildProcess> {
    const name = `modal-server-${randomUUID()}`;
    const server = createServer((socket) => this.#take(socket));
    await new Promise<void>((resolve) => server.listen({ path: addressOf(name), backlog: 4096 }, resolve));
    const helper = spawn(NODE, [MAIN, name], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    helper.on("message", (told: Told) => this.#hear(told));
    const end = (how: string) => {
      console.error(`The helper that starts the Modal server's processes ended (${how}), and its sandboxes with it.`);
      process.exit(1); // nothing that a test asks for could be true from now on
    };
    helper.once("error", (error) => end(error.message));
    helper.once("exit", (code, signal) => end(`${code ?? signal}`));
    return helper;
  }

  #hear(told: Told): void {
    const known = this.#known.get(told.id);
    known?.pid.resolve(told.kind === "started" ? told.pid : 0);
    if (told.kind === "started") return;
    known?.exited.resolve(told);
    if (known?.isRun || told.error !== null) known?.streams.resolve(null);
    // Its connections may not have been seen yet.
    void known?.streams.promise.then(() => this.#known.delete(told.id));
  }

  /** Finds out whose stream a connection is, once its head is there. */
  #take(socket: Socket): void {
    socket.on("error", () => {});
    const look = () => {
      const head = socket.read(HEAD_BYTES) as Buffer | null;
      if (head === null) return;
      socket.removeListener("readable", look);
      const [id, fd] = head.toString().split(":").map(Number);
      const known = this.#known.get(id ?? 0);
      if (!known) return void socket.destroy();
      known.sockets.set(fd ?? 0, socket);
      const [stdin, stdout, stderr] = [0, 1, 2].map((each) => known.sockets.get(each));
      if (stdin && stdout && stderr) known.streams.resolve({ stdin, stdout, stderr });
    };
    socket.on("readable", look);
  }
}

let spawner: Spawner | undefined;

/** The one of this process. */
export function useSpawner(): Spawner {
  spawner ??= new Spawner();
  return spawner;
}
