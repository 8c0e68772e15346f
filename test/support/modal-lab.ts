import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HomeSettings, type LabServer, startLab } from "./lab.ts";
import type { Fault } from "./modal-server/faults.ts";
import type { ModalServerOptions } from "./modal-server/options.ts";
import { type ModalServer, type SandboxView, startModalServer } from "./modal-server/server.ts";
import type { Call } from "./modal-server/service.ts";
import { until } from "./wait.ts";

/** The lab with a Modal of its own behind the plugin. */
export interface ModalLab extends LabServer {
  readonly modal: ModalServer;
}

export type ModalLabSettings = HomeSettings & { readonly server?: ModalServerOptions };

/** OpenCode whose user has Modal's credentials in the environment; `env` is added to them, or takes them away. */
export async function startModalLab(
  options: Record<string, unknown> = {},
  { server, ...settings }: ModalLabSettings = {},
): Promise<ModalLab> {
  const modal = await startModalServer(server);
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
export const holdersAt = (modal: ModalServer): SandboxView[] =>
  modal
    .sandboxes({ live: true })
    .filter((each) => existsSync(file(each, "entered")) && !existsSync(file(each, "left")));

export function openGatesAt(modal: ModalServer): void {
  for (const each of holdersAt(modal)) writeFileSync(file(each, "go"), "");
}

export const noneLeft = (modal: ModalServer): Promise<unknown> =>
  until(() => modal.sandboxes({ live: true }).length === 0, {
    what: "every sandbox is terminated",
    timeoutMs: 30_000,
    seen: () => modal.sandboxes({ live: true }),
  });

/** The creations asked for, in order, whatever became of them. */
export const creations = (modal: ModalServer): Call[] =>
  modal.calls.filter(({ method }) => method === "SandboxCreate" || method === "SandboxCreateV2");

/** What is hit: the program a command of the sandbox runs, the SDK's file tool included. */
export const onProgram =
  (program: string): NonNullable<Fault["only"]> =>
  ({ commandArgs }) =>
    Array.isArray(commandArgs) && commandArgs.some((word) => String(word).includes(program));
