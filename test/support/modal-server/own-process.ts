import { fileURLToPath } from "node:url";
import { type Exit, startProcess, type TrackedProcess } from "../child-process.ts";
import { within } from "../wait.ts";
import type { Fault } from "./faults.ts";
import type { Question } from "./main.ts";
import type { ModalServerOptions } from "./options.ts";
import { OWN_MOUNTS } from "./overlay.ts";
import type { ModalServer } from "./server.ts";
import type { Call } from "./service.ts";

type Remote<T> = {
  readonly [Name in keyof T]: T[Name] extends (...args: infer Args) => infer Answer
    ? (...args: Args) => Promise<Awaited<Answer>>
    : never;
};
type Told = Omit<ModalServer, "url" | "env" | "calls" | "faults" | "stop">;

/** A server in another process, controlled by messages. */
export interface ModalServerProcess extends Remote<Told> {
  /** Variables for the client's process. */
  readonly env: Readonly<Record<string, string>>;
  /** Every call so far, in order. Byte arrays in them have become plain objects. */
  calls(): Promise<readonly Call[]>;
  readonly faults: {
    add(...faults: Fault[]): Promise<void>;
    clear(): Promise<void>;
    left(): Promise<readonly Fault[]>;
  };
  /** Stops the server and ends its sandboxes. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const NODE = fileURLToPath(new URL("../../../node_modules/node/bin/node", import.meta.url));
const ANSWER_MS = 20_000;

/**
 * Starts the server under Node, because the HTTP/2 server of Bun 1.3.14 sometimes sends frames of streams that do not exist.
 * The server stops when this process ends, whatever the reason.
 */
export async function startModalServerProcess(options: ModalServerOptions = {}): Promise<ModalServerProcess> {
  const [file, ...args] = [...(options.overlay ? OWN_MOUNTS : []), NODE, MAIN, JSON.stringify(options)] as const;
  const process_ = await startProcess(file, args, {
    cwd: "/",
    env: process.env as Record<string, string>,
    stdin: "pipe",
    name: "the Modal server",
  });
  let end: Exit | null = null;
  void process_.exited.then((exit) => {
    end = exit;
  });
  try {
    const lines = linesOf(process_);
    const env = JSON.parse(await within(lines.next(), 30_000, "the Modal server is up", process_.stderr));
    const ask = questioner(process_, lines.on);
    const to =
      (name: string) =>
      (...args: unknown[]) =>
        ask(name, args);
    return {
      ...(Object.fromEntries(TOLD.map((name) => [name, to(name)])) as unknown as Remote<Told>),
      env,
      calls: () => ask("calls", []) as Promise<readonly Call[]>,
      faults: {
        add: to("faults.add") as (...faults: Fault[]) => Promise<never>,
        clear: to("faults.clear") as () => Promise<never>,
        left: to("faults.left") as () => Promise<readonly Fault[]>,
      },
      async stop() {
        if (end !== null) throw new Error(hasEnded(end, process_));
        await process_.stop();
      },
    };
  } catch (error) {
    await process_.kill();
    throw error;
  }
}

const TOLD: readonly (keyof Told)[] = [
  "sandboxes", "images", "kill", "preempt", "expireImage", "stopApp", "setGpus", "setWorkspaceLimit", "setCreationRate", "setSpendLimitReached",
  "stopRouter", "startRouter", "stopControl",
  "startControl", "revokeRouterTokens",
]; // biome-ignore format: a table

/** The lines that a process prints. `next` waits for the first one, `on` gets those that follow. */
function linesOf(process_: TrackedProcess) {
  let rest = "";
  let listener: (line: string) => void = () => {};
  process_.onStdout((text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) listener(line);
  });
  return {
    next: () =>
      new Promise<string>((resolve, reject) => {
        listener = resolve;
        void process_.exited.then((exit) => reject(new Error(hasEnded(exit, process_))));
      }),
    on(next: (line: string) => void) {
      listener = next;
    },
  };
}

const hasEnded = ({ code, signal }: Exit, { stderr }: TrackedProcess): string =>
  `The Modal server has ended (${code ?? signal}): ${stderr()}`;

function questioner(process_: TrackedProcess, onLine: (listener: (line: string) => void) => void) {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let count = 0;
  onLine((line) => {
    const { id, answer, refused } = JSON.parse(line) as { id: number; answer?: unknown; refused?: string };
    const asked = waiting.get(id);
    waiting.delete(id);
    if (refused === undefined) asked?.resolve(answer);
    else asked?.reject(new Error(`The Modal server refused: ${refused}`));
  });
  return (ask: string, args: readonly unknown[]): Promise<unknown> => {
    count += 1;
    const id = count;
    const answer = new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      void process_.exited.then((exit) => reject(new Error(hasEnded(exit, process_))));
    });
    process_.write(`${JSON.stringify({ id, ask, args } satisfies Question)}\n`);
    return within(answer, ANSWER_MS, `the Modal server answers ${ask}`, process_.stderr);
  };
}
