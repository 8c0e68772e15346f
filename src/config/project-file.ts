import { join } from "node:path";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import type { HostFiles } from "./host-files.ts";
import { type HostEnv, isWithin, realPathOf, withHome } from "./host-paths.ts";
import { toProblem } from "./problems.ts";

/** Whether a user who set this wants nothing of a project to be read. As the host itself takes the variable. */
export const isProjectConfigOff = (env: HostEnv): boolean =>
  ["1", "true"].includes(env.OPENCODE_DISABLE_PROJECT_CONFIG?.toLowerCase() ?? "");

/** The project's file of options. A link that leads out of the project would show some other file's keys. */
export async function readProjectFile(path: string, roots: readonly string[], files: HostFiles): Promise<ConfigFile> {
  const real = await files.realpath(path).catch(() => path); // whatever is wrong with it, reading says so
  if (isWithin(real, await ownRoot(roots, files)) || !(await files.exists(real)))
    return readConfigFile(path, { read: () => files.read(real) });
  const problem = toProblem("options", path, "a link that leads out of the project", "a plain file, or none");
  return { kind: "invalid", problem };
}

/** The innermost repository: what lies around it, such as a home that is a repository too, is not the project's to show. */
async function ownRoot([directory = "/", around]: readonly string[], files: HostFiles): Promise<string> {
  return around === undefined || (await files.exists(join(directory, ".git"))) ? directory : around;
}

/** What the user said of this project: nothing, this very content, or another. */
export async function trustIn(
  trusted: Readonly<Record<string, string>>,
  directory: string,
  sha256: string,
  { env, files }: { readonly env: HostEnv; readonly files: HostFiles },
): Promise<"none" | "this" | "another"> {
  const real = await realPathOf(directory, files);
  let said: "none" | "another" = "none";
  for (const [path, sum] of Object.entries(trusted)) {
    if ((await realPathOf(withHome(path, env), files)) !== real) continue;
    if (sum === sha256) return "this";
    said = "another";
  }
  return said;
}

export const userFileIn = (configHome: string): string => join(configHome, "opencode", FILE_NAME);
export const projectFileIn = (directory: string): string => join(directory, ".opencode", FILE_NAME);

const FILE_NAME = "parallel-agents.jsonc";
