import { closeSync, createReadStream, fstatSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { open, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { isProcessDead } from "../../shared/is-process-dead.ts";
import { nullIfMissing } from "../../shared/missing-file.ts";
import { ensurePrivateFolder } from "../../shared/private-files.ts";
import { within } from "../../shared/time-limit.ts";
import type { ExecRequest } from "../command.ts";
import type { Sandbox, SandboxSpec, TakenSnapshot } from "../port.ts";
import type { ModalSandbox } from "./modal-sandbox.ts";
import { formatTarID, hasMountsBelow, parseTarID } from "./snapshot-id.ts";

/*
 * The work directories of sandboxes as tar files on this machine, for users whose files are not to stay at Modal. The files
 * are data of jobs: this machine never looks into them, they are unpacked in sandboxes only.
 */

/** Larger than the work directories that fit a person's disk many times over. */
const LIMIT_BYTES = 1024 ** 3;
const BLOCK_BYTES = 512;
const CHUNK_BYTES = 1024 * 1024;

export interface TarDeps {
  /** Absolute; absent = this provider keeps no tars. */
  readonly tarFolder?: string;
  readonly tarLimitBytes?: number;
  readonly ids: () => string;
  readonly clock: Clock;
  /** For one tar to come or go. */
  readonly limitMs: number;
}

/** What lies on volumes and buckets is not the job's own. */
const PACK = `one=; tar --help 2>&1 | grep -q one-file-system && one=--one-file-system
cd -- "$1" && exec tar $one -cf - .`;

const UNPACK = `mkdir -p -- "$1" && cd -- "$1" || exit 1
[ "$2" != clear ] || find . -mindepth 1 -maxdepth 1 -exec rm -rf -- {} +
exec tar -xpf -`;

export class TarFiles {
  readonly #deps: TarDeps;

  constructor(deps: TarDeps) {
    this.#deps = deps;
  }

  /** Keeps a directory of the sandbox. @throws PluginError `snapshot_failed`, `sandbox_lost` */
  async save(sandbox: Sandbox, directory: string): Promise<TakenSnapshot> {
    const id = formatTarID(process.pid, this.#deps.ids());
    const path = this.#pathOf(id);
    try {
      ensurePrivateFolder(this.#folder());
      const { sizeBytes, warning } = await this.#timed(
        `Keeping ${directory} of sandbox ${sandbox.id} as a tar`,
        (stop) => this.#receive(sandbox, directory, `${path}.partial`, stop),
      );
      if (!isWhole(`${path}.partial`)) throw new Error("what arrived is no complete tar");
      await rename(`${path}.partial`, path);
      return { id, sizeBytes, files: null, leftOut: warning === "" ? [] : [warning], expiresAt: null, path: directory };
    } catch (error) {
      rmSync(`${path}.partial`, { force: true });
      if (error instanceof PluginError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new PluginError(
        "snapshot_failed",
        `Could not keep ${directory} of sandbox ${sandbox.id} as a tar: ${reason}`,
        {
          cause: error,
          retryable: null,
        },
      );
    }
  }

  /** Unpacks the tar that a new sandbox starts from, if it is one, in its work directory. @throws what must end the sandbox */
  async restore(sandbox: ModalSandbox, { snapshotID: id, machine }: SandboxSpec): Promise<void> {
    if (id === null || parseTarID(id) === null) return;
    const { workdir } = sandbox;
    const argv = ["/bin/sh", "-c", UNPACK, "unpack", workdir, hasMountsBelow(machine, workdir) ? "" : "clear"];
    const send = async (write: (bytes: Uint8Array) => Promise<void>) => {
      for await (const chunk of createReadStream(this.#pathOf(id), { highWaterMark: CHUNK_BYTES })) await write(chunk);
    };
    try {
      const doing = `Unpacking ${id} in sandbox ${sandbox.id}`;
      const { code, stderr } = await this.#timed(doing, (stop) => run(sandbox, { argv }, stop, send));
      if (code !== 0) throw new Error(`${doing} ended with ${code}: ${stderr}`);
    } catch (error) {
      sandbox.core.end("its files could not be put back");
      throw error;
    }
  }

  /** Checks that the tar that a sandbox is to start from, if it is one, is there. @throws PluginError `snapshot_expired` */
  require({ snapshotID: id }: SandboxSpec): void {
    if (id === null || parseTarID(id) === null || isWhole(this.#pathOf(id))) return;
    const message = `The tar ${id} with a job's files is missing or damaged: ${this.#pathOf(id)}.`;
    throw new PluginError("snapshot_expired", message, { retryable: false });
  }

  remove(id: string): void {
    for (const suffix of ["", ".partial"]) rmSync(`${this.#pathOf(id)}${suffix}`, { force: true });
  }

  /** Tars of processes that have ended. */
  async orphans(): Promise<{ readonly id: string; readonly createdAt: number }[]> {
    const { tarFolder: folder = null } = this.#deps;
    const names = folder === null ? null : await nullIfMissing(readdir(folder));
    return (names ?? []).flatMap((name) => {
      const id = name.replace(/\.tar(?:\.partial)?$/, "");
      const parsed = parseTarID(id);
      const found =
        parsed && isProcessDead(parsed.pid) && statSync(join(folder ?? "", name), { throwIfNoEntry: false });
      return found ? [{ id, createdAt: found.birthtimeMs || found.mtimeMs }] : [];
    });
  }

  async #receive(sandbox: Sandbox, directory: string, path: string, stop: AbortSignal) {
    const { tarLimitBytes: limitBytes = LIMIT_BYTES } = this.#deps;
    const file = await open(path, "wx", 0o600);
    let sizeBytes = 0;
    const tooLarge = new AbortController();
    try {
      const argv = ["/bin/sh", "-c", PACK, "pack", directory];
      const either = AbortSignal.any([stop, tooLarge.signal]);
      const { code, stderr } = await run(sandbox, { argv }, either, null, async (bytes) => {
        sizeBytes += bytes.length;
        if (sizeBytes > limitBytes) return tooLarge.abort();
        await file.write(bytes);
      });
      if (tooLarge.signal.aborted) throw tooLargeError(sandbox, directory, limitBytes);
      // GNU tar's 1: files changed while they were read.
      if (code !== 0 && code !== 1) throw new Error(`tar ended with ${code}: ${stderr}`);
      return { sizeBytes, warning: code === 0 ? "" : `Not all files could be kept as they were: ${stderr}` };
    } finally {
      await file.close();
    }
  }

  #timed<T>(doing: string, work: (stop: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const { clock, limitMs } = this.#deps;
    return within(work(stop.signal), { clock, limitMs, doing }).finally(() => stop.abort());
  }

  #folder(): string {
    if (this.#deps.tarFolder !== undefined) return this.#deps.tarFolder;
    throw new PluginError("snapshot_failed", "There is no folder for the tars of jobs.", { retryable: false });
  }

  #pathOf(id: string): string {
    if (parseTarID(id) === null) throw new Error(`${id} is not the id of a tar`);
    return join(this.#folder(), `${id}.tar`);
  }
}

/** Whether a file ends as a tar does, with two empty blocks: one that was cut off does not. */
function isWhole(path: string): boolean {
  let file: number | null = null;
  try {
    file = openSync(path, "r");
    const { size } = fstatSync(file);
    const end = Buffer.alloc(2 * BLOCK_BYTES, 1);
    return (
      size % BLOCK_BYTES === 0 &&
      readSync(file, end, 0, end.length, size - end.length) === end.length &&
      end.every((byte) => byte === 0)
    );
  } catch {
    return false; // it is missing, or shorter than that
  } finally {
    if (file !== null) closeSync(file);
  }
}

const tooLargeError = (sandbox: Sandbox, directory: string, limitBytes: number) =>
  new PluginError(
    "snapshot_failed",
    `Could not keep ${directory} of sandbox ${sandbox.id}: as a tar it takes more than ${Math.round(limitBytes / 1024 ** 2)} MiB of this machine's disk. Keep less there, or set modal.persistence to "snapshot_filesystem".`,
    { retryable: false },
  );

/** Runs a command with binary input and output; `stop` kills it. */
async function run(
  sandbox: Sandbox,
  request: ExecRequest,
  stop: AbortSignal,
  feed: ((write: (bytes: Uint8Array) => Promise<void>) => Promise<void>) | null,
  onOutput: (bytes: Uint8Array) => Promise<void> | void = () => {},
): Promise<{ readonly code: number; readonly stderr: string }> {
  const child = await sandbox.start(request);
  const kill = () => void child.signal("SIGKILL").catch(() => {});
  stop.addEventListener("abort", kill, { once: true });
  try {
    let stderr = "";
    const reading = (async () => {
      for await (const { stream, bytes } of child.output) {
        if (stream === "stdout") await onOutput(bytes);
        else if (stderr.length < 500) stderr += Buffer.from(bytes).toString();
      }
    })();
    // What refuses its input says why.
    if (feed) await feed((bytes) => child.write(bytes)).catch(() => {});
    await child.closeInput().catch(() => {});
    await reading;
    const exit = await child.exit;
    if (exit.kind === "unknown") throw new Error(exit.reason);
    return { code: exit.kind === "exited" ? exit.code : 137, stderr: stderr.trim().slice(0, 500) };
  } catch (error) {
    kill();
    throw error;
  } finally {
    stop.removeEventListener("abort", kill);
  }
}
