import { posix } from "node:path";
import {
  type ExecRequest,
  FileError,
  type LentPath,
  type Sandbox,
  type SandboxProcess,
  type SandboxProvider,
  type SandboxSpec,
  type SnapshotCharge,
} from "../../src/sandboxes/port.ts";
import { type Failure, PluginError } from "../../src/shared/error-code.ts";

/**
 * A machine full of sandboxes that are nothing but files in memory. Several providers may be opened on it, one per
 * OpenCode process: sandboxes and snapshots outlive them. It refuses whatever the port does not promise.
 */
export interface MemoryMachine {
  open(): SandboxProvider;
  /** Everything done to it, in order: `create job_1`, `terminate sbx_1`, `freeze snap_1`, … */
  readonly ledger: readonly string[];
  sandboxes(): readonly Standing[];
  snapshotIDs(): readonly string[];
  /** Ends a sandbox by itself, as a crash would. */
  lose(sandboxID: string, message?: string): void;
  /** Called before each creation; may reject, or take its time. */
  onCreate: (spec: SandboxSpec) => void | Promise<void>;
  onFreeze: (sandboxID: string) => void | Promise<void>;
  /** What its sandboxes can read of this machine; null = nobody says. */
  lent: readonly LentPath[] | null;
  /** What snapshots cannot keep. */
  leftOut: readonly string[];
  /** What the snapshots of a job were said to take already, whenever one was taken; null = not by its wish. */
  readonly charges: (SnapshotCharge | null | undefined)[];
  onRead: (path: string) => void | Promise<void>;
  /** Called before everything asked of a sandbox that exists; may never answer, as one that is held up does not. */
  onAsk: (what: Asked, sandboxID: string) => void | Promise<void>;
  /** Runs commands; without one every command is refused. */
  onStart: ((request: ExecRequest, sandbox: Sandbox) => SandboxProcess) | null;
}

export type Asked = "attach" | "start" | "read" | "write" | "freeze" | "terminate";

type Files = Map<string, Uint8Array>;

/** A sandbox that exists, whoever holds it. */
interface Standing {
  readonly id: string;
  readonly spec: SandboxSpec;
  readonly files: Files;
  readonly holders: Set<(failure: Failure | null) => void>;
}

const lost = (id: string) => new PluginError("sandbox_lost", `Sandbox ${id} no longer exists.`, { retryable: false });

export function createMemoryMachine(): MemoryMachine {
  const ledger: string[] = [];
  const live = new Map<string, Standing>();
  const frozen = new Map<string, Files>();
  let count = 0;

  /** What one process holds of a sandbox; it ends with the sandbox, or when that process lets go. */
  function hold(unterminated: Standing): { sandbox: Sandbox; letGo(): void } {
    const { id, spec, files } = unterminated;
    const { promise: ended, resolve } = Promise.withResolvers<Failure | null>();
    unterminated.holders.add(resolve);
    const alive = () => {
      if (!live.has(id)) throw lost(id);
    };
    const sandbox: Sandbox = {
      id,
      workdir: spec.workdir,
      home: "/home/agent",
      notes: [],
      gpu: null,
      ports: [],
      ended,
      view: null,
      async start(request) {
        alive();
        await machine.onAsk("start", id);
        if (!machine.onStart) throw new Error(`nobody runs ${request.argv.join(" ")}`);
        return machine.onStart(request, sandbox);
      },
      async readFile(path, { offset, maxBytes }) {
        alive();
        await machine.onAsk("read", id);
        await machine.onRead(path);
        const at = posix.resolve(spec.workdir, path);
        const bytes = files.get(at);
        if (!bytes && isFolder(files, at)) throw new FileError("is_directory", `${path} is a directory.`);
        if (!bytes) throw new FileError("file_not_found", `${path} does not exist.`);
        return bytes.subarray(offset, offset + maxBytes);
      },
      async writeFile(path, content) {
        alive();
        await machine.onAsk("write", id);
        const at = posix.resolve(spec.workdir, path);
        if (isFolder(files, at)) throw new FileError("is_directory", `${path} is a directory.`);
        files.set(at, content.slice());
      },
      async terminate() {
        await machine.onAsk("terminate", id);
        end(id, null);
      },
    };
    return { sandbox, letGo: () => resolve(null) };
  }

  function end(id: string, failure: Failure | null): void {
    const unterminated = live.get(id);
    if (!unterminated) return;
    live.delete(id);
    ledger.push(`${failure ? "lose" : "terminate"} ${id}`);
    for (const tell of unterminated.holders) tell(failure);
  }

  async function create(spec: SandboxSpec): Promise<Standing> {
    if (!posix.isAbsolute(spec.workdir)) throw new Error(`workdir ${spec.workdir} is not absolute`);
    ledger.push(`create ${spec.name}`);
    await machine.onCreate(spec);
    const files = spec.snapshotID === null ? new Map() : frozen.get(spec.snapshotID);
    if (!files) throw new PluginError("not_found", `No snapshot ${spec.snapshotID}.`, { retryable: false });
    const twin = [...live.values()].find((one) => one.spec.name === spec.name);
    if (twin) throw new Error(`a second live sandbox named ${spec.name}`);
    const unterminated: Standing = { id: `sbx_${++count}`, spec, files: new Map(files), holders: new Set() };
    live.set(unterminated.id, unterminated);
    return unterminated;
  }

  const machine: MemoryMachine = {
    ledger,
    sandboxes: () => [...live.values()],
    snapshotIDs: () => [...frozen.keys()],
    lose(id, message = "the machine is gone") {
      if (!live.has(id)) throw new Error(`no live sandbox ${id}`);
      end(id, { code: "sandbox_lost", message, retryable: true });
    },
    onCreate: () => {},
    onFreeze: () => {},
    leftOut: [],
    lent: null,
    charges: [],
    onRead: () => {},
    onAsk: () => {},
    onStart: null,
    open() {
      let closed = false;
      const held: (() => void)[] = [];
      const take = (unterminated: Standing): Sandbox => {
        const { sandbox, letGo } = hold(unterminated);
        held.push(letGo);
        return sandbox;
      };
      const usable = () => {
        if (closed) throw new Error("the provider is closed");
      };
      return {
        name: "local",
        lent: machine.lent && (async () => ({ lent: machine.lent ?? [], refused: [] })),
        create(spec, signal) {
          usable();
          const made = create(spec).then(take);
          if (!signal) return made;
          return new Promise<Sandbox>((resolve, reject) => {
            const abort = () => {
              reject(new PluginError("cancelled", `Creating ${spec.name} was cancelled.`, { retryable: false }));
              made.then((late) => late.terminate()).catch(() => {});
            };
            if (signal.aborted) return abort();
            signal.addEventListener("abort", abort, { once: true });
            made.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
          });
        },
        async attach(id, env) {
          usable();
          const unterminated = live.get(id);
          if (!unterminated) throw lost(id);
          await machine.onAsk("attach", id);
          if (JSON.stringify(env) !== JSON.stringify(unterminated.spec.env))
            throw new Error(`${id} was given other variables`);
          ledger.push(`attach ${id}`);
          return take(unterminated);
        },
        async terminate(id) {
          usable();
          await machine.onAsk("terminate", id);
          end(id, null);
        },
        list: async () => [...live.values()].map(({ id, spec }) => ({ id, tags: spec.tags, createdAt: null })),
        snapshots: {
          async take(sandbox, path, charged) {
            usable();
            machine.charges.push(charged);
            const source = live.get(sandbox.id);
            if (!source) throw lost(sandbox.id);
            if (path !== null && !posix.isAbsolute(path)) throw new Error(`${path} is not absolute`);
            await machine.onAsk("freeze", sandbox.id);
            await machine.onFreeze(sandbox.id);
            if (!live.has(sandbox.id)) throw lost(sandbox.id);
            const id = `snap_${++count}`;
            const kept = [...source.files].filter(([name]) => path === null || name.startsWith(`${path}/`));
            frozen.set(id, new Map(kept));
            ledger.push(`freeze ${id} of ${sandbox.id}`);
            const sizeBytes = kept.reduce((sum, [, bytes]) => sum + bytes.length, 0);
            return { id, sizeBytes, files: kept.length, leftOut: machine.leftOut, expiresAt: null };
          },
          async remove(id) {
            usable();
            if (frozen.delete(id)) ledger.push(`remove ${id}`);
          },
          leftBehind: async () => [],
        },
        async close() {
          closed = true;
          for (const letGo of held) letGo();
        },
      };
    },
  };
  return machine;
}

const isFolder = (files: Files, path: string): boolean => [...files.keys()].some((name) => name.startsWith(`${path}/`));
