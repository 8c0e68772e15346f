import { posix } from "node:path";
import type { LentPath } from "../../src/sandboxes/lent-paths.ts";
import {
  type ExecRequest,
  FileError,
  type Sandbox,
  type SandboxProcess,
  type SandboxProvider,
  type SandboxSpec,
  type SandboxUsage,
  type SnapshotUsage,
  type VolumeReload,
} from "../../src/sandboxes/port.ts";
import { type Failure, PluginError } from "../../src/shared/error-code.ts";
import { cancellable } from "./cancellable-creation.ts";

/**
 * A machine whose sandboxes are nothing but files in memory. Several providers can be opened on it, one per OpenCode
 * process; sandboxes and snapshots outlive them. It refuses whatever the provider port does not promise.
 */
export interface MemoryMachine {
  open(): SandboxProvider;
  /** What was done on it, in order: `create job_1`, `terminate sbx_1`, `snapshot snap_2 of sbx_1`, … */
  readonly operations: readonly string[];
  /** Sandboxes that have not been terminated. */
  sandboxes(): readonly LiveSandbox[];
  snapshotIDs(): readonly string[];
  /** Ends a sandbox without anyone asking for it, as a crash does. */
  lose(sandboxID: string, message?: string): void;
  /** Whether the machine has the last files of lost sandboxes that were to keep them; a function may delay or reject. */
  keepsLast: boolean | ((sandboxID: string) => boolean | Promise<boolean>);
  /** Called before each creation; may reject or delay it. */
  onCreate: (spec: SandboxSpec) => void | Promise<void>;
  /** Called before each snapshot is taken; may reject or delay it. */
  onSnapshot: (sandboxID: string) => void | Promise<void>;
  /** What is known of a sandbox that is not listed, as of another app; null: all are listed. */
  hasEnded: ((sandboxID: string) => boolean | null) | null;
  /** Host paths that its sandboxes can read; null: its providers do not report them. */
  lent: readonly LentPath[] | null;
  /** When the snapshots that are taken from now on expire, epoch ms; null: never. They stay until they are removed. */
  snapshotsExpireAt: number | null;
  /** Whether a snapshot needs the one that its sandbox was made from. Removing that one first throws. */
  derives: boolean;
  /** Whether a sandbox can become a snapshot without a copy. */
  retires: boolean;
  /** What a snapshot could not keep, reported with each one taken. */
  leftOut: readonly string[];
  /** For each snapshot taken, what the job's earlier snapshots were said to hold; null: the job did not ask for it. */
  readonly charges: (SnapshotUsage | null | undefined)[];
  /** Called before each file is read; may reject or delay it. */
  onRead: (path: string) => void | Promise<void>;
  /** Called before each call on a live sandbox; never settling makes the sandbox unresponsive. */
  onCall: (call: SandboxCall, sandboxID: string) => void | Promise<void>;
  /** A terminated sandbox has ended when this resolves, and can be used for nothing until then; null: at once. */
  untilEnd: Promise<void> | null;
  /** Reads a sandbox's meter; null: it has none. */
  onMeter: ((sandboxID: string) => SandboxUsage | null | Promise<SandboxUsage | null>) | null;
  /** Called to reload the volumes of a sandbox. */
  onReload: (sandboxID: string) => VolumeReload | Promise<VolumeReload>;
  /** Since when listed sandboxes are said to cost money, epoch ms; null: nothing is said of it. */
  billedSince: number | null;
  /** Names of the GPUs that new sandboxes have which ask for some; null: they have none. */
  devices: readonly string[] | null;
  /** In each sandbox, how many processes have been killed for lack of memory and how many refused; null: it does not tell. */
  memoryKills: number | null;
  processRefusals: number | null;
  /** Runs commands; while it is null every command is refused. */
  onStart: ((request: ExecRequest, sandbox: Sandbox) => SandboxProcess) | null;
}

export type SandboxCall = "attach" | "start" | "read" | "write" | "snapshot" | "terminate";

type Files = Map<string, Uint8Array>;

/** A sandbox that has not been terminated, whichever processes are attached to it. */
interface LiveSandbox {
  readonly id: string;
  spec: SandboxSpec;
  readonly files: Files;
  /** Called with the reason when it ends, one for each handle. */
  readonly onEnd: Set<(failure: Failure | null) => void>;
}

const lostError = (id: string) =>
  new PluginError("sandbox_lost", `Sandbox ${id} no longer exists.`, { retryable: false });

export function createMemoryMachine(): MemoryMachine {
  const operations: string[] = [];
  const live = new Map<string, LiveSandbox>();
  const snapshots = new Map<string, Files>();
  const parents = new Map<string, string>();
  const lost = new Map<string, Files>();
  const closing = new Set<string>();
  let count = 0;

  /** One process's handle of a sandbox. It ends with the sandbox, or when that process detaches. */
  function openHandle(one: LiveSandbox): { sandbox: Sandbox; detach(): void } {
    const { id, spec, files } = one;
    const { promise: ended, resolve } = Promise.withResolvers<Failure | null>();
    one.onEnd.add(resolve);
    const requireLive = () => {
      if (!live.has(id) || closing.has(id)) throw lostError(id);
    };
    const sandbox: Sandbox = {
      id,
      ...{ workdir: spec.workdir, home: "/home/agent" },
      ...{ notes: [], network: null },
      gpu: machine.devices && spec.machine?.gpu ? { granted: spec.machine.gpu, devices: machine.devices } : null,
      billedSince: null,
      ports: [],
      memory: { limitMiB: 512, kills: () => machine.memoryKills },
      processes: { limit: 4_096, refusals: () => machine.processRefusals },
      ended,
      usage: machine.onMeter && (async () => machine.onMeter?.(id) ?? null),
      view: null,
      reloadVolumes: async () => machine.onReload(id),
      async setTags(tags) {
        requireLive();
        one.spec = { ...one.spec, tags };
      },
      async start(request) {
        requireLive();
        await machine.onCall("start", id);
        if (!machine.onStart) throw new Error(`unexpected command: ${request.argv.join(" ")}`);
        return machine.onStart(request, sandbox);
      },
      async readFile(path, { offset, maxBytes }) {
        requireLive();
        await machine.onCall("read", id);
        await machine.onRead(path);
        const at = posix.resolve(spec.workdir, path);
        const bytes = files.get(at);
        if (!bytes && isFolder(files, at)) throw new FileError("is_directory", `${path} is a directory.`);
        if (!bytes) throw new FileError("file_not_found", `${path} does not exist.`);
        return bytes.subarray(offset, offset + maxBytes);
      },
      async writeFile(path, content) {
        requireLive();
        await machine.onCall("write", id);
        const at = posix.resolve(spec.workdir, path);
        if (isFolder(files, at)) throw new FileError("is_directory", `${path} is a directory.`);
        files.set(at, content.slice());
      },
      terminate: () => Promise.resolve(machine.onCall("terminate", id)).then(() => beginEnd(id)),
    };
    return { sandbox, detach: () => resolve(null) };
  }

  function beginEnd(id: string): void {
    if (!live.has(id) || closing.has(id)) return;
    closing.add(id);
    if (machine.untilEnd) void machine.untilEnd.then(() => end(id, null));
    else end(id, null);
  }

  function end(id: string, failure: Failure | null): void {
    const sandbox = live.get(id);
    if (!sandbox) return;
    live.delete(id);
    closing.delete(id);
    if (failure && sandbox.spec.keepsLastFiles) lost.set(id, new Map(sandbox.files));
    operations.push(`${failure ? "lose" : "terminate"} ${id}`);
    for (const notify of sandbox.onEnd) notify(failure);
  }

  async function create(spec: SandboxSpec): Promise<LiveSandbox> {
    if (!posix.isAbsolute(spec.workdir)) throw new Error(`workdir ${spec.workdir} is not absolute`);
    operations.push(`create ${spec.name}`);
    await machine.onCreate(spec);
    const files = spec.snapshotID === null ? new Map() : snapshots.get(spec.snapshotID);
    if (!files) throw new PluginError("not_found", `No snapshot ${spec.snapshotID}.`, { retryable: false });
    const isNameTaken = [...live.values()].some((one) => one.spec.name === spec.name);
    if (isNameTaken) throw new Error(`a second live sandbox named ${spec.name}`);
    const sandbox: LiveSandbox = { id: `sbx_${++count}`, spec, files: new Map(files), onEnd: new Set() };
    live.set(sandbox.id, sandbox);
    return sandbox;
  }

  const machine: MemoryMachine = {
    operations,
    ...{ keepsLast: false, memoryKills: null, processRefusals: null, devices: null, billedSince: null },
    sandboxes: () => [...live.values()],
    snapshotIDs: () => [...snapshots.keys()],
    lose(id, message = "the machine crashed") {
      if (!live.has(id)) throw new Error(`no live sandbox ${id}`);
      end(id, { code: "sandbox_lost", message, retryable: true });
    },
    onCreate: () => {},
    onSnapshot: () => {},
    ...{ snapshotsExpireAt: null, lent: null, hasEnded: null, untilEnd: null, onMeter: null },
    ...{ derives: false, retires: false, leftOut: [], charges: [] },
    onRead: () => {},
    onReload: () => ({ kind: "reloaded" }),
    onCall: () => {},
    onStart: null,
    open() {
      let closed = false;
      const detachers: (() => void)[] = [];
      const attachTo = (live: LiveSandbox): Sandbox => {
        const { sandbox, detach } = openHandle(live);
        detachers.push(detach);
        return sandbox;
      };
      const billing = () => ({ createdAt: null, billedSince: machine.billedSince });
      const requireOpen = () => {
        if (closed) throw new Error("the provider is closed");
      };
      return {
        name: "local",
        prices: null,
        hasEnded: machine.hasEnded && (async (id) => machine.hasEnded?.(id) ?? null),
        place: (workdir) => ({ workdir, home: "/home/agent" }),
        lent: machine.lent && (async () => ({ lent: machine.lent ?? [], refused: [] })),
        create(spec, signal) {
          requireOpen();
          return cancellable(create(spec).then(attachTo), spec.name, signal);
        },
        async attach(id, env) {
          requireOpen();
          const sandbox = live.get(id);
          if (!sandbox) throw lostError(id);
          await machine.onCall("attach", id);
          if (JSON.stringify(env) !== JSON.stringify(sandbox.spec.env))
            throw new Error(`${id} was created with other environment variables`);
          operations.push(`attach ${id}`);
          return attachTo(sandbox);
        },
        async terminate(id) {
          requireOpen();
          await machine.onCall("terminate", id);
          beginEnd(id);
        },
        list: async () => [...live.values()].map(({ id, spec: { tags } }) => ({ id, tags, ...billing() })),
        snapshots: {
          derives: () => machine.derives,
          keep(sandbox) {
            return this.take(sandbox, null, null);
          },
          async retire(sandbox, on) {
            if (!machine.retires) return null;
            on.ending();
            const { files } = live.get(sandbox.id) ?? {};
            if (!files) throw lostError(sandbox.id);
            await machine.onSnapshot(sandbox.id);
            end(sandbox.id, null);
            const taken = { ...{ sizeBytes: null, files: null, leftOut: [], expiresAt: null }, id: `snap_${++count}` };
            on.keeping(taken);
            snapshots.set(taken.id, files);
            operations.push(`retire ${sandbox.id} as ${taken.id}`);
            return taken;
          },
          freeze: null,
          async take(sandbox, path, charged) {
            requireOpen();
            machine.charges.push(charged);
            const source = live.get(sandbox.id);
            if (!source) throw lostError(sandbox.id);
            if (path !== null && !posix.isAbsolute(path)) throw new Error(`${path} is not absolute`);
            await machine.onCall("snapshot", sandbox.id);
            await machine.onSnapshot(sandbox.id);
            if (!live.has(sandbox.id)) throw lostError(sandbox.id);
            const id = `snap_${++count}`;
            const kept = [...source.files].filter(([name]) => path === null || name.startsWith(`${path}/`));
            snapshots.set(id, new Map(kept));
            if (source.spec.snapshotID !== null) parents.set(id, source.spec.snapshotID);
            operations.push(`snapshot ${id} of ${sandbox.id}`);
            const sizeBytes = kept.reduce((sum, [, bytes]) => sum + bytes.length, 0);
            const { leftOut, snapshotsExpireAt: expiresAt } = machine;
            return { id, sizeBytes, files: kept.length, leftOut, expiresAt };
          },
          async ofLost(id) {
            requireOpen();
            const { keepsLast } = machine;
            const files = (typeof keepsLast === "function" ? await keepsLast(id) : keepsLast) && lost.get(id);
            if (!files) return null;
            const snapshotID = `snap_${++count}`;
            snapshots.set(snapshotID, files);
            operations.push(`keep ${snapshotID} of ${id}`);
            return { id: snapshotID, sizeBytes: null, files: null, leftOut: [], expiresAt: machine.snapshotsExpireAt };
          },
          async remove(id) {
            requireOpen();
            const isParent = [...parents].some(([child, parent]) => parent === id && snapshots.has(child));
            const isNeeded = isParent || [...live.values()].some(({ spec }) => spec.snapshotID === id);
            if (machine.derives && isNeeded) throw new Error(`${id} is needed by what was made from it`);
            if (snapshots.delete(id)) operations.push(`remove ${id}`);
          },
          orphans: async () => [],
        },
        async close() {
          closed = true;
          for (const detach of detachers) detach();
        },
      };
    },
  };
  return machine;
}

const isFolder = (files: Files, path: string): boolean => [...files.keys()].some((name) => name.startsWith(`${path}/`));
