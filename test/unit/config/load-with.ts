import { createHash } from "node:crypto";
import type { HostFiles } from "../../../src/config/host-files.ts";
import { type LoadedOptions, loadOptions } from "../../../src/config/load.ts";
import type { Options } from "../../../src/config/schema.ts";

export const USER_FILE = "/home/ada/.config/opencode/parallel-agents.jsonc";
export const PROJECT_FILE = "/project/.opencode/parallel-agents.jsonc";

export interface Given {
  readonly tuple?: unknown;
  /** Text of the user's file; undefined = there is none; an Error is thrown when the file is read. */
  readonly user?: string | Error;
  readonly project?: string | Error;
  readonly env?: Record<string, string>;
  /** null = no project, as on the command line. */
  readonly directory?: string | null;
  /** Texts of further files, by path. */
  readonly others?: Record<string, string>;
  /** Targets of links, by path. */
  readonly links?: Record<string, string>;
  /** Folders that are repositories. */
  readonly repositories?: readonly string[];
}

/** Loads options from files that exist only in memory. */
export function loadWith(given: Given): Promise<LoadedOptions> {
  const { tuple, user, project, env = {}, directory = "/project", links = {}, repositories = [] } = given;
  const contents = new Map<string, string | Error | undefined>([
    ...Object.entries(given.others ?? {}),
    [USER_FILE, user],
    [PROJECT_FILE, project],
  ]);
  const realpath = async (path: string) => {
    const link = Object.keys(links).find((one) => path === one || path.startsWith(`${one}/`));
    return link === undefined ? path : `${links[link]}${path.slice(link.length)}`;
  };
  const files: HostFiles = {
    async read(path) {
      const content = contents.get(path);
      if (content === undefined) throw fileError("ENOENT");
      if (content instanceof Error) throw content;
      return Buffer.from(content);
    },
    realpath,
    exists: async (path) => contents.get(path) !== undefined || repositories.some((one) => path === `${one}/.git`),
  };
  const home = { HOME: "/home/ada", ...env };
  return loadOptions({ tuple, directory, configHome: "/home/ada/.config", env: home, files });
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

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** `trustedProjects` for a project's file. */
export function trusting(options: object, user: object = {}): Given {
  const project = JSON.stringify(options);
  return { project, user: JSON.stringify({ ...user, trustedProjects: { "/project": sha256(project) } }) };
}

export async function loaded(given: Given) {
  const result = await loadWith(given);
  if (result.kind !== "ok") throw new Error(result.message);
  return result;
}

/** Loads a project's file together with the user's options, which are in his file. */
export async function beside(user: object, project: object, more: Partial<Given> = {}) {
  const { options, ignored } = await loaded({ user: JSON.stringify(user), project: JSON.stringify(project), ...more });
  return { options, ignored: ignored.map(({ key }) => key).sort() };
}

export const inDefault = (environment: object) => ({ environments: { default: environment } });
