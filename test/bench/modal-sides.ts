import type { Sandbox as SdkSandbox } from "modal";
import { defaultOptions } from "../../src/config/schema.ts";
import { createModalProvider } from "../../src/sandboxes/modal/modal-provider.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { modalClient } from "../support/modal-server/client.ts";
import type { ModalServerProcess } from "../support/modal-server/own-process.ts";

/** What a bench does with a sandbox, through the adapter or with the SDK alone. */
export interface BenchSandbox {
  /** Runs a command to its end. @returns the length of its output */
  run(command: string): Promise<number>;
  write(path: string, content: Uint8Array): Promise<void>;
  read(path: string, bytes: number): Promise<Uint8Array>;
  /** Reads the file with a command in the sandbox, as the adapter does. */
  cat(path: string, bytes: number): Promise<Uint8Array>;
  snapshot(): Promise<string>;
  end(): Promise<void>;
}

export interface Side {
  /** Creates a sandbox whose commands start in /workspace, and runs the first command, which creates that directory. */
  create(snapshotID?: string): Promise<BenchSandbox>;
  close(): Promise<void>;
}

export type Connection = Pick<ModalServerProcess, "env">;

const OPTIONS = defaultOptions("/").modal;
const MINUTE_MS = 60_000;

/** @param env the environment that names the server; the process's own must have it too */
export function adapterSide({ env }: Connection): Side {
  const { MODAL_TOKEN_ID: tokenId = "", MODAL_TOKEN_SECRET: tokenSecret = "" } = env;
  const provider = createModalProvider({
    options: OPTIONS,
    credentials: { kind: "token", tokenId, tokenSecret, source: "the bench" },
    clock: systemClock,
    log: () => {},
    ids: () => randomId("x").slice(2),
  });
  const toBenchSandbox = (sandbox: Sandbox): BenchSandbox => ({
    async run(command) {
      const child = await sandbox.start({ argv: ["sh", "-c", command] });
      let length = 0;
      for await (const { bytes } of child.output) length += bytes.length;
      mustBeZero(await child.exit.then((exit) => (exit.kind === "exited" ? exit.code : exit.kind)));
      return length;
    },
    write: (path, content) => sandbox.writeFile(path, content),
    read: (path, maxBytes) => sandbox.readFile(path, { offset: 0, maxBytes }),
    cat: (path, maxBytes) => sandbox.readFile(path, { offset: 0, maxBytes }),
    async snapshot() {
      const snapshot = await provider.snapshots?.take(sandbox, null);
      return snapshot?.id ?? "";
    },
    end: () => sandbox.terminate(),
  });
  return {
    create: async (snapshotID) =>
      toBenchSandbox(
        await provider.create({
          name: randomId("bench"),
          tags: { suite: "bench" },
          snapshotID: snapshotID ?? null,
          workdir: "/workspace",
          env: {},
          memoryMiB: null,
          network: "open",
        }),
      ),
    close: () => provider.close(),
  };
}

export async function rawSide(server: Connection): Promise<Side> {
  const modal = await modalClient(server);
  const app = await modal.apps.fromName(OPTIONS.app, { createIfMissing: true });
  const base = await modal.images.fromRegistry("python:3.12-bookworm").build(app);
  const runIn = async (sandbox: SdkSandbox, command: string, workdir?: string): Promise<number> => {
    const child = await sandbox.exec(["sh", "-c", command], { mode: "binary", ...(workdir && { workdir }) });
    let length = 0;
    const count = async (stream: AsyncIterable<Uint8Array>) => {
      for await (const bytes of stream) length += bytes.length;
    };
    const [code] = await Promise.all([child.wait(), count(child.stdout), count(child.stderr)]);
    mustBeZero(code);
    return length;
  };
  const toBenchSandbox = (sandbox: SdkSandbox): BenchSandbox => ({
    run: (command) => runIn(sandbox, command, "/workspace"),
    write: (path, content) => sandbox.filesystem.writeBytes(content, path),
    read: (path) => sandbox.filesystem.readBytes(path),
    async cat(path, maxBytes) {
      const child = await sandbox.exec(["head", "-c", String(maxBytes), path], { mode: "binary" });
      const [bytes, , code] = await Promise.all([child.stdout.readBytes(), child.stderr.readBytes(), child.wait()]);
      mustBeZero(code);
      return bytes;
    },
    snapshot: async () => (await sandbox.snapshotFilesystem({ timeoutMs: MINUTE_MS, ttlMs: MINUTE_MS * 60 })).imageId,
    async end() {
      await sandbox.terminate();
      sandbox.detach();
    },
  });
  return {
    async create(snapshotID) {
      const image = snapshotID === undefined ? base : await modal.images.fromId(snapshotID);
      const sandbox = await modal.sandboxes.create(app, image, {
        name: randomId("bench"),
        tags: { suite: "bench" },
        timeoutMs: 10 * MINUTE_MS,
        memoryMiB: 2048,
      });
      await runIn(sandbox, "mkdir -p /workspace");
      return toBenchSandbox(sandbox);
    },
    async close() {
      modal.close();
    },
  };
}

function mustBeZero(code: number | string): void {
  if (code !== 0) throw new Error(`a command ended with ${code}`);
}
