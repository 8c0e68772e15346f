import type { App, Image, ModalClient, Sandbox, SandboxExecParams } from "modal";
import { importSdk } from "../../../src/sandboxes/modal/sdk.ts";
import type { ModalServerProcess } from "./own-process.ts";

export interface ModalTestClient {
  readonly modal: ModalClient;
  readonly app: App;
  readonly image: Image;
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** The real SDK, connected to the test server. @param env variables that override the server's */
export async function modalClient(
  server: Pick<ModalServerProcess, "env">,
  env: Readonly<Record<string, string>> = {},
): Promise<ModalClient> {
  const own = { ...server.env, ...env };
  const before = new Map(Object.keys(own).map((name) => [name, process.env[name]]));
  Object.assign(process.env, own);
  try {
    const sdk = (await importSdk()) as typeof import("modal");
    return new sdk.ModalClient({ logger: SILENT }); // reads the address and the credentials now and never again
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** A client with an app and an image, which most tests need. */
export async function connect(
  server: ModalServerProcess,
  env: Readonly<Record<string, string>> = {},
): Promise<ModalTestClient> {
  const modal = await modalClient(server, env);
  const app = await modal.apps.fromName("tests", { createIfMissing: true });
  return { modal, app, image: modal.images.fromRegistry("debian:bookworm-slim") };
}

/** Runs a command to its end, with empty input. */
export async function run(
  sandbox: Sandbox,
  argv: string[],
  params: SandboxExecParams = {},
): Promise<{ stdout: string; stderr: string; code: number }> {
  const child = await sandbox.exec(argv, { ...params, mode: "text" });
  await child.stdin.close().catch(() => {}); // it may have ended already
  const [stdout, stderr, code] = await Promise.all([child.stdout.readText(), child.stderr.readText(), child.wait()]);
  return { stdout, stderr, code };
}
