import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HomeSettings, type LabServer, startLab } from "./test-host.ts";
import type { ModalServerOptions } from "./modal-server/options.ts";
import { type ModalServerProcess, startModalServerProcess } from "./modal-server/own-process.ts";
import type { SandboxView } from "./modal-server/server.ts";
import type { Call } from "./modal-server/service.ts";
import { until } from "./wait.ts";

/** The lab with a Modal of its own behind the plugin. */
export interface ModalLab extends LabServer {
  readonly modal: ModalServerProcess;
}

export type ModalLabSettings = HomeSettings & { readonly server?: ModalServerOptions };

/** OpenCode whose user has Modal's credentials in the environment; `env` is added to them, or takes them away. */
export async function startModalLab(
  options: Record<string, unknown> = {},
  { server, ...settings }: ModalLabSettings = {},
): Promise<ModalLab> {
  const modal = await startModalServerProcess(server);
  const lab = await startLab(options, { ...settings, env: { ...modal.env, ...settings.env } }).catch(async (error) => {
    await modal.stop();
    throw error;
  });
  const { stop } = lab;
  return Object.assign(lab, {
    modal,
    async stop() {
      await stop();
      await modal.stop();
    },
  });
}

export async function withModalLab(
  options: Record<string, unknown>,
  settings: ModalLabSettings,
  use: (lab: ModalLab) => Promise<void>,
): Promise<void> {
  const lab = await startModalLab(options, settings);
  try {
    await use(lab);
  } finally {
    await lab.stop();
  }
}

const file = ({ root }: SandboxView, name: string): string => join(root, "workspace", name);

/** Sandboxes whose command waits at its gate now; see `HOLD`. */
export const holdersAt = async (modal: ModalServerProcess): Promise<SandboxView[]> =>
  (await modal.sandboxes({ live: true })).filter(
    (each) => existsSync(file(each, "entered")) && !existsSync(file(each, "left")),
  );

export async function openGatesAt(modal: ModalServerProcess): Promise<void> {
  for (const each of await holdersAt(modal)) writeFileSync(file(each, "go"), "");
}

/** Every sandbox is terminated. */
export async function noneLeft(modal: ModalServerProcess): Promise<void> {
  let left: SandboxView[] = [];
  const gone = async () => {
    left = await modal.sandboxes({ live: true });
    return left.length === 0;
  };
  await until(gone, { what: "every sandbox is terminated", timeoutMs: 60_000, seen: () => left });
}

/** The creations asked for, in order, whatever became of them. */
export const creations = async (modal: ModalServerProcess): Promise<Call[]> =>
  (await modal.calls()).filter(({ method }) => method === "SandboxCreate" || method === "SandboxCreateV2");
