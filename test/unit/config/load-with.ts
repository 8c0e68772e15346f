import { type LoadedOptions, loadOptions } from "../../../src/config/load.ts";
import type { Options } from "../../../src/config/schema.ts";

export const USER_FILE = "/home/ada/.config/opencode/parallel-agents.jsonc";
export const PROJECT_FILE = "/project/.opencode/parallel-agents.jsonc";

export interface Given {
  readonly tuple?: unknown;
  /** Text of the user's file; absent when left out. An Error is thrown by the read. */
  readonly user?: string | Error;
  readonly project?: string | Error;
  readonly env?: Record<string, string>;
}

/** Loads options from files that exist only here. */
export function loadWith({ tuple, user, project, env = {} }: Given): Promise<LoadedOptions> {
  const files = new Map([
    [USER_FILE, user],
    [PROJECT_FILE, project],
  ]);
  const readFile = async (path: string) => {
    const content = files.get(path);
    if (content === undefined) throw fileError("ENOENT");
    if (content instanceof Error) throw content;
    return content;
  };
  const home = { HOME: "/home/ada", ...env };
  return loadOptions({ tuple, directory: "/project", configHome: "/home/ada/.config", env: home, readFile });
}

export async function optionsOf(given: Given): Promise<Options> {
  const loaded = await loadWith(given);
  if (loaded.kind !== "ok") throw new Error(loaded.message);
  return loaded.options;
}

export async function problemsOf(given: Given) {
  const loaded = await loadWith(given);
  if (loaded.kind !== "invalid") throw new Error(`expected problems, got ${JSON.stringify(loaded.options)}`);
  return loaded.problems;
}

export const fileError = (code: string): Error => Object.assign(new Error(code), { code });
