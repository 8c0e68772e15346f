import { existsSync, readdirSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readConfigFile } from "../../config/config-file.ts";
import { hostFiles } from "../../config/host-files.ts";
import { type HostEnv, isWithin } from "../../config/host-paths.ts";
import { OPENCODE_KEYS } from "../../config/opencode-keys.ts";
import { optionsSchema } from "../../config/schema.ts";
import { type ConfigPlaces, configPlaces } from "./config-places.ts";
import { type InstalledPackage, PACKAGE_NAME, packageAround, packageIn, realPath } from "./installed-package.ts";

/** A plugin that a configuration of OpenCode names. */
export interface PluginEntry {
  /** The file that names it, or a variable. */
  readonly source: string;
  readonly spec: string;
  /** As given beside it; undefined = none. */
  readonly options: unknown;
  /** The path it means, links not resolved; null = a package from npm. */
  readonly path: string | null;
  /** Whether something lies at the path. */
  readonly exists: boolean;
  /** What is there, or was installed from npm; null = nothing that can be read. */
  readonly found: InstalledPackage | null;
  /** Whether it names this plugin, be it another copy, another version, or nothing that exists. */
  readonly isMeant: boolean;
}

export interface PluginEntries {
  readonly server: readonly PluginEntry[];
  readonly tui: readonly PluginEntry[];
  /** Files that OpenCode cannot read either, with what is wrong in them. */
  readonly unreadable: readonly { readonly file: string; readonly found: string }[];
  /** Files with options of the plugin among OpenCode's own, which drops what it does not know without a word. */
  readonly misplaced: readonly { readonly file: string; readonly keys: readonly string[] }[];
}

/**
 * Reads what OpenCode would read in this folder.
 * @param ownRoot of the plugin's checkout: what it names for those who work on it does not count
 */
export async function readPluginEntries(
  directory: string,
  env: HostEnv,
  ownRoot: string | null,
): Promise<PluginEntries> {
  const places = configPlaces(directory, env);
  const unreadable: { file: string; found: string }[] = [];
  const misplaced: { file: string; keys: readonly string[] }[] = [];
  const read = async (
    file: string,
    files: Parameters<typeof readConfigFile>[1] = hostFiles,
  ): Promise<PluginEntry[]> => {
    if (ownRoot !== null && isWithin(file, ownRoot)) return [];
    const config = await readConfigFile(file, files);
    if (config.kind === "invalid") unreadable.push({ file, found: config.problem.found });
    if (config.kind !== "read") return [];
    const { plugin = [] } = config.layer.value;
    const keys = Object.keys(config.layer.value).filter(isOwnOption);
    if (keys.length > 0 && !places.tui.includes(file)) misplaced.push({ file, keys });
    if (!Array.isArray(plugin) || !plugin.every((given) => typeof given === "string" || Array.isArray(given)))
      unreadable.push({ file, found: OTHER_FORM });
    const folder = existsSync(file) ? dirname(file) : directory;
    return Array.isArray(plugin) ? plugin.flatMap((given) => toEntry(given, file, folder, places, env)) : [];
  };
  const server: PluginEntry[] = [];
  for (const file of places.server) server.push(...(await read(file)));
  server.push(...places.scripts.flatMap(scriptsIn));
  const content = env.OPENCODE_CONFIG_CONTENT;
  if (content) server.push(...(await read("OPENCODE_CONFIG_CONTENT", { read: async () => Buffer.from(content) })));
  const tui: PluginEntry[] = [];
  for (const file of places.tui) tui.push(...(await read(file)));
  return { server, tui, unreadable, misplaced };
}

const OTHER_FORM =
  'one whose "plugin" has something else than paths and lists; options stand in a list with their path, as in "plugin": [["/path", { "maxRunningJobs": 4 }]]';

/** Not `provider`, which OpenCode has too. */
const isOwnOption = (key: string): boolean =>
  Object.hasOwn(optionsSchema.shape, key) && !(OPENCODE_KEYS as readonly string[]).includes(key);

function toEntry(given: unknown, source: string, folder: string, places: ConfigPlaces, env: HostEnv): PluginEntry[] {
  const [first, options] = Array.isArray(given) ? given : [given];
  if (typeof first !== "string") return [];
  const spec = first.replace(/\{env:([^}]+)\}/g, (_, name: string) => env[name] ?? "");
  const path = toPath(spec, folder);
  const exists = path !== null && existsSync(path);
  const found = path === null ? fromNpm(spec, places.packages) : exists ? packageAround(path) : null;
  const isNamed = path === null ? npmName(spec) === PACKAGE_NAME : path.split(/[\\/]/).includes(PACKAGE_NAME);
  const isMeant = found === null || path === null ? isNamed : found.name === PACKAGE_NAME;
  return [{ source, spec, options, path, exists, found, isMeant }];
}

/** As OpenCode tells paths from packages. */
function toPath(spec: string, folder: string): string | null {
  if (spec.startsWith("file://")) {
    try {
      return fileURLToPath(spec);
    } catch {
      return resolve(folder, spec.slice("file://".length));
    }
  }
  return spec.startsWith(".") || isAbsolute(spec) ? resolve(folder, spec) : null;
}

/** The name before the version: `@scope/name@1.2.3`. */
const npmName = (spec: string): string => spec.replace(/^npm:/, "").replace(/(?<=.)@.*$/, "");

function fromNpm(spec: string, packages: string): InstalledPackage | null {
  const name = npmName(spec);
  if (name !== PACKAGE_NAME) return null;
  const folders = [spec, ...(spec === name ? [`${name}@latest`] : [])].map((one) => join(packages, one));
  for (const folder of folders) {
    const found = packageIn(join(folder, "node_modules", name));
    if (found !== null) return found;
  }
  return null;
}

/** Scripts that OpenCode finds by itself count where they are links into a checkout. */
function scriptsIn(folder: string): PluginEntry[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => /\.[jt]s$/.test(name))
    .flatMap((name) => {
      const path = join(folder, name);
      const found = packageAround(dirname(realPath(path)));
      if (found?.name !== PACKAGE_NAME) return [];
      return [{ source: folder, spec: path, options: undefined, path, exists: existsSync(path), found, isMeant: true }];
    });
}
