import type { TuiPluginApi, TuiPluginMeta } from "@opencode-ai/plugin/tui";
import type { HostEnv } from "../config/host-paths.ts";

/**
 * The state directory that the server part uses too: the options beside the plugin's name in `opencode.json`, which the host
 * gives to the server part only, the user's file of options, or the default.
 * @returns null where the options are not valid; then the server part does not start either, and says why
 */
export async function findStateDir(
  state: Pick<TuiPluginApi["state"], "config" | "path">,
  meta: Pick<TuiPluginMeta, "spec">,
  options: unknown,
  env: HostEnv,
): Promise<string | null> {
  // Loaded after the start of the terminal UI, which would have to wait for it.
  const [{ configHomeOf, loadOptions }, { hostFiles }] = await Promise.all([
    import("../config/load.ts"),
    import("../config/host-files.ts"),
  ]);
  const loaded = await loadOptions({
    tuple: optionsBeside(meta.spec, state.config.plugin) ?? options,
    directory: state.path.directory || null,
    configHome: configHomeOf(env),
    env,
    files: hostFiles,
  });
  return loaded.kind === "ok" ? loaded.options.stateDir : null;
}

/** The options of the entry that names this very plugin. */
function optionsBeside(spec: string, entries: unknown): unknown {
  const found = (Array.isArray(entries) ? entries : []).find((one) => Array.isArray(one) && one[0] === spec);
  return found?.[1];
}
