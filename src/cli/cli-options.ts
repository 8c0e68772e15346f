import { resolve } from "node:path";
import { hostFiles } from "../config/host-files.ts";
import { configHomeOf, loadOptions } from "../config/load.ts";
import type { Options } from "../config/schema.ts";
import { PluginError } from "../shared/error-code.ts";

/** In the help of every command that works on the state directory. */
export const STATE_DIR_HELP =
  "  --state-dir <path>  state directory to work on; default: the one in your own options file";

/**
 * The user's own options: a repository's do not count on the command line.
 * @param stateDir replaces the options' state directory; may be relative
 * @throws PluginError `config_invalid`
 */
export async function loadCliOptions(stateDir: string | null): Promise<Options> {
  const loaded = await loadOptions({
    tuple: stateDir === null ? undefined : { stateDir: stateDir.startsWith("~/") ? stateDir : resolve(stateDir) },
    tupleSource: "--state-dir",
    directory: null,
    configHome: configHomeOf(process.env),
    env: process.env,
    files: hostFiles,
  });
  if (loaded.kind === "invalid") throw new PluginError("config_invalid", loaded.message, { retryable: false });
  return loaded.options;
}
