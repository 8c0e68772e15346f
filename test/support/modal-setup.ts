import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModalServerOptions } from "./modal-server/options.ts";
import { type ModalServerProcess, startModalServerProcess } from "./modal-server/own-process.ts";
import type { SandboxView } from "./modal-server/server.ts";
import type { Call } from "./modal-server/service.ts";
import { type HomeSettings, startSetup, type TestSetup } from "./test-setup.ts";
import { until } from "./wait.ts";

/** A setup whose plugin uses a Modal server of its own. */
export interface ModalSetup extends TestSetup {
  readonly modal: ModalServerProcess;
}

export type ModalSetupSettings = HomeSettings & { readonly server?: ModalServerOptions };

/** Modal with its times, limits and inconveniences; a second of its own times takes so long here, real milliseconds. */
const REALISTIC: ModalServerOptions = { profile: "realistic", latencySecondMs: 20 };

/** OpenCode whose user has Modal's credentials in the environment; `env` is added to them, or takes them away. */
export async function startModalSetup(
  options: Record<string, unknown> = {},
  { server, ...settings }: ModalSetupSettings = {},
): Promise<ModalSetup> {
  const modal = await startModalServerProcess({ ...REALISTIC, ...server });
  const setup = await startSetup(options, { ...settings, env: { ...modal.env, ...settings.env } }).catch(
    async (error) => {
      await modal.stop();
      throw error;
    },
  );
  const { stop } = setup;
  return Object.assign(setup, {
    modal,
    async stop() {
      await stop();
      await modal.stop();
    },
  });
}

export async function withModalSetup(
  options: Record<string, unknown>,
  settings: ModalSetupSettings,
  use: (setup: ModalSetup) => Promise<void>,
): Promise<void> {
  const setup = await startModalSetup(options, settings);
  try {
    await use(setup);
  } finally {
    await setup.stop();
  }
}

export const fileAt = ({ root }: SandboxView, name: string): string => join(root, "workspace", name);

/** Sandboxes whose command waits at its gate now; see `HOLD`. */
export const holdersAt = async (modal: ModalServerProcess): Promise<SandboxView[]> =>
  (await modal.sandboxes({ live: true })).filter(
    (each) => existsSync(fileAt(each, "entered")) && !existsSync(fileAt(each, "left")),
  );

export async function openGatesAt(modal: ModalServerProcess): Promise<void> {
  for (const each of await holdersAt(modal)) writeFileSync(fileAt(each, "go"), "");
}

/** Every sandbox is terminated. */
export async function noneLeft(modal: ModalServerProcess): Promise<void> {
  let left: SandboxView[] = [];
  const gone = async () => {
    left = await modal.sandboxes({ live: true });
    return left.length === 0;
  };
  await until(gone, { what: "every sandbox is terminated", seen: () => left });
}

/** The creations asked for, in order, whatever became of them. */
export const creations = async (modal: ModalServerProcess): Promise<Call[]> =>
  (await modal.calls()).filter(({ method }) => method === "SandboxCreate" || method === "SandboxCreateV2");
