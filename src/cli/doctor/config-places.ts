import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { type HostEnv, homeOf, xdgHome } from "../../config/host-paths.ts";
import { isProjectConfigOff } from "../../config/project-file.ts";

/*
 * Where OpenCode 1.18 looks for its configuration and for plugins. @source the host facts, read in the 1.18.33 binary
 */

export interface ConfigPlaces {
  /** Files whose `plugin` names what the server part loads, the later ones counting more. None may exist. */
  readonly server: readonly string[];
  /** Files whose `plugin` names what the terminal UI loads. None may exist. */
  readonly tui: readonly string[];
  /** Folders in which OpenCode loads every script as a plugin. */
  readonly scripts: readonly string[];
  /** Where npm packages are installed that are named as plugins. */
  readonly packages: string;
}

export function configPlaces(
  directory: string,
  env: HostEnv,
  exists: (path: string) => boolean = existsSync,
): ConfigPlaces {
  const home = homeOf(env);
  const global = join(xdgHome(env.XDG_CONFIG_HOME, env, ".config"), "opencode");
  const around = foldersAround(directory, exists);
  const projects = isProjectConfigOff(env) ? [] : around;
  const given = (name: string): string[] => {
    const path = env[name];
    return path ? [isAbsolute(path) ? path : resolve(directory, path)] : [];
  };
  const own = [
    ...projects.map((folder) => join(folder, ".opencode")),
    join(home, ".opencode"),
    ...given("OPENCODE_CONFIG_DIR"),
  ];
  const both = (folder: string, name: string): string[] => [
    join(folder, `${name}.json`),
    join(folder, `${name}.jsonc`),
  ];
  const all = (name: string, special: readonly string[], globals: readonly string[]): string[] => [
    ...globals,
    ...both(global, name),
    ...special,
    ...projects.flatMap((folder) => both(folder, name)),
    ...own.flatMap((folder) => both(folder, name)),
  ];
  const managed = process.platform === "linux" ? both("/etc/opencode", "opencode") : [];
  return {
    server: unique([...all("opencode", given("OPENCODE_CONFIG"), [join(global, "config.json")]), ...managed]),
    tui: unique(all("tui", given("OPENCODE_TUI_CONFIG"), [])),
    scripts: unique([global, ...own].flatMap((folder) => [join(folder, "plugin"), join(folder, "plugins")])),
    packages: join(xdgHome(env.XDG_CACHE_HOME, env, ".cache"), "opencode", "packages"),
  };
}

/** From the top of the repository, or of the file system, down to the folder itself. */
function foldersAround(directory: string, exists: (path: string) => boolean): string[] {
  const folders = [directory];
  for (let at = directory; !exists(join(at, ".git")) && at !== dirname(at); at = dirname(at))
    folders.unshift(dirname(at));
  return folders;
}

const unique = (paths: readonly string[]): string[] => [...new Set(paths)];
