import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { homeOf, xdgHome } from "../config/host-paths.ts";
import type { ProviderName } from "../config/provider-names.ts";
import type { Options } from "../config/schema.ts";
import type { CreationLimiter } from "../sandboxes/creation-limiter.ts";
import { createLocalGpus, type LocalGpus } from "../sandboxes/local/gpus/machine-gpus.ts";
import type { LendingRules } from "../sandboxes/local/isolation.ts";
import type { SandboxProvider } from "../sandboxes/port.ts";
import { systemClock } from "../shared/clock.ts";
import { randomId } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { readCredentials, requireCredentials } from "./provider-choice.ts";

const ids = () => randomId("x").slice(2);

/**
 * Creates a provider. Its adapter is loaded now, so only when the first job needs it.
 * @param project a path in the project that jobs work for; null = none
 * @param limiter gives creations their turns
 * @param gpus this machine's, for local sandboxes; absent = they have none
 * @throws PluginError `sandbox_create_failed` without usable Modal credentials
 */
export async function createProvider(
  name: ProviderName,
  options: Options,
  project: string | null,
  limiter: CreationLimiter,
  log: Log,
  gpus?: LocalGpus,
): Promise<SandboxProvider> {
  switch (name) {
    case "modal": {
      const { createModalProvider } = await import("../sandboxes/modal/modal-provider.ts");
      const credentials = requireCredentials(process.env);
      const tarFolder = join(options.stateDir, "modal-tars");
      return createModalProvider({
        options: options.modal,
        credentials,
        readCredentials: () => readCredentials(process.env),
        clock: systemClock,
        limiter,
        log,
        ids,
        tarFolder,
      });
    }
    case "local": {
      const { createLocalProvider } = await import("../sandboxes/local/local-provider.ts");
      return createLocalProvider({
        rootDir: join(options.stateDir, "local"),
        isolation: options.local.isolation,
        lending: lendingRules(options, project, process.env),
        ...(gpus && { gpus }),
        clock: systemClock,
        log,
        ids,
      });
    }
  }
}

/** The GPUs of this machine that local jobs may use. Nobody is asked for them yet. */
export const machineGpus = ({ local }: Pick<Options, "local">, env: NodeJS.ProcessEnv, log: Log): LocalGpus =>
  createLocalGpus({
    root: "",
    allowed: local.gpus,
    visible: env.CUDA_VISIBLE_DEVICES,
    order: env.CUDA_DEVICE_ORDER,
    clock: systemClock,
    log,
  });

/** What of this machine local sandboxes of a project may read. @param project as above */
export const lendingRules = (options: Options, project: string | null, env: NodeJS.ProcessEnv): LendingRules => ({
  readOnlyPaths: options.local.readOnlyPaths,
  neverLent: [options.stateDir, ...opencodeFolders(env)],
  project: project === null ? null : topOf(project, homeOf(env)),
});

/** The folders in which OpenCode keeps keys, sessions and options. */
function opencodeFolders(env: NodeJS.ProcessEnv): string[] {
  const homes = [
    xdgHome(env.XDG_DATA_HOME, env, ".local", "share"),
    xdgHome(env.XDG_CONFIG_HOME, env, ".config"),
    xdgHome(env.XDG_STATE_HOME, env, ".local", "state"),
  ];
  return [
    ...homes.map((home) => join(home, "opencode")),
    ...(env.OPENCODE_CONFIG_DIR ? [env.OPENCODE_CONFIG_DIR] : []),
  ];
}

/** The top of the repository that a folder lies in, or the folder itself. A home directory does not count as a repository. */
function topOf(folder: string, home: string): string {
  for (let at = folder; at !== dirname(at) && at !== home; at = dirname(at))
    if (existsSync(join(at, ".git"))) return at;
  return folder;
}
