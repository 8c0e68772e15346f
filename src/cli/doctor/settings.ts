import { resolve } from "node:path";
import { hostFiles } from "../../config/host-files.ts";
import { configHomeOf, type LoadedOptions, loadOptions } from "../../config/load.ts";
import { userFileIn } from "../../config/project-file.ts";
import type { Options } from "../../config/schema.ts";
import { createLimits } from "../../core/limits.ts";
import { createPriceList } from "../../jobs/sandbox/price-list.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import type { DoctorCall } from "./doctor-call.ts";
import type { PluginEntries } from "./plugin-entries.ts";

/** The options with which OpenCode would run the plugin here. */
export interface Settings {
  readonly loaded: LoadedOptions;
  /** Where these are not valid, the defaults: the other checks are made all the same. */
  readonly options: Options;
  readonly userFile: string;
  /** Whether jobs run in local sandboxes. */
  readonly isLocal: boolean;
  readonly parkAfterMs: number;
  readonly creationMs: number;
}

export async function readSettings(call: DoctorCall, { server }: PluginEntries): Promise<Settings> {
  const { directory, env, stateDir, clock } = call;
  const entry = server.filter(({ isMeant }) => isMeant).at(-1);
  const configHome = configHomeOf(env);
  const request = { configHome, env, files: hostFiles };
  const loaded = await loadOptions({
    ...request,
    tuple: entry?.options,
    directory,
    ...(entry !== undefined && { tupleSource: entry.source }),
  });
  const usable = loaded.kind === "ok" ? loaded.options : await defaults(request);
  const given = stateDir === null || stateDir.startsWith("~/") ? stateDir : resolve(directory, stateDir);
  const options = given === null ? usable : { ...usable, stateDir: given };
  const prices = createPriceList({ options, clock, log: () => {} });
  return {
    loaded,
    options,
    userFile: userFileIn(configHome),
    isLocal: chooseProvider(options, env).name === "local",
    parkAfterMs: options.parkAfterSeconds * 1000,
    creationMs: createLimits(options, prices.of).creationMs,
  };
}

async function defaults(request: Pick<Parameters<typeof loadOptions>[0], "env" | "files">): Promise<Options> {
  const nowhere = { read: () => Promise.reject(Object.assign(new Error("not read"), { code: "ENOENT" })) };
  const files = { ...request.files, ...nowhere };
  const loaded = await loadOptions({ ...request, files, tuple: undefined, directory: null, configHome: "/" });
  if (loaded.kind === "invalid") throw new Error(loaded.message);
  return loaded.options;
}
