import { afterAll, beforeAll } from "bun:test";
import type { Options } from "../../src/config/schema.ts";
import { createModalProvider, type ModalProviderDeps } from "../../src/sandboxes/modal/modal-provider.ts";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import type { ModalServerOptions } from "../support/modal-server/options.ts";
import { type ModalServerProcess, startModalServerProcess } from "../support/modal-server/own-process.ts";

/** Starts one server for all tests of a file, and sets the environment variables that the SDK reads. */
export function useModalServer(options: ModalServerOptions = {}): () => ModalServerProcess {
  let server: ModalServerProcess | null = null;
  const before: Record<string, string | undefined> = {};
  beforeAll(async () => {
    server = await startModalServerProcess(options);
    for (const [name, value] of Object.entries(server.env)) {
      before[name] = process.env[name];
      process.env[name] = value;
    }
  });
  afterAll(async () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await server?.stop();
  });
  return () => {
    if (server === null) throw new Error("the server is not up yet");
    return server;
  };
}

export const MODAL_OPTIONS: Options["modal"] = {
  app: "contract",
  environment: null,
  createTimeoutSeconds: 30,
  buildTimeoutMinutes: 1,
  createsPerSecond: 200,
  createsBurst: 100,
  gpuWaitMinutes: 1,
  snapshotTimeoutSeconds: 30,
  snapshotTtlDays: 30,
  persistence: "snapshot_filesystem",
};

/** A provider with the credentials in the environment variables. */
export function modalProvider(more: Partial<ModalProviderDeps> = {}): SandboxProvider {
  const { MODAL_TOKEN_ID: tokenId = "", MODAL_TOKEN_SECRET: tokenSecret = "" } = process.env;
  return createModalProvider({
    options: MODAL_OPTIONS,
    credentials: { kind: "token", tokenId, tokenSecret, source: "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET" },
    clock: systemClock,
    log: () => {},
    ids: () => crypto.randomUUID().slice(0, 13),
    ...more,
  });
}
