import { join } from "node:path";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import type { HostFiles } from "./host-files.ts";
import { type HostEnv, isWithin, realPathOf, withHome } from "./host-paths.ts";
import { type ConfigProblem, toProblem } from "./problems.ts";

/** Whether the user has told OpenCode to read no project's configuration. Values are interpreted as OpenCode does. */
export const isProjectConfigOff = (env: HostEnv): boolean =>
  ["1", "true"].includes(env.OPENCODE_DISABLE_PROJECT_CONFIG?.toLowerCase() ?? "");

/** Reads the project's file of options. A link out of the project is refused: messages would show the keys of another file. */
export async function readProjectFile(path: string, roots: readonly string[], files: HostFiles): Promise<ConfigFile> {
  const real = await files.realpath(path).catch(() => path); // reading it reports what is wrong
  if (isWithin(real, await ownRoot(roots, files)) || !(await files.exists(real)))
    return readConfigFile(path, { read: () => files.read(real) });
  const problem = toProblem("options", path, "a link that leads out of the project", "a plain file, or none");
  return { kind: "invalid", problem };
}

/** The innermost repository around the directory. Files outside of it, for example in a home that is a repository too, are not the project's. */
async function ownRoot([directory = "/", around]: readonly string[], files: HostFiles): Promise<string> {
  return around === undefined || (await files.exists(join(directory, ".git"))) ? directory : around;
}

/** Whether the user trusts this version of the project's file, another version, or none. */
export async function trustIn(
  trusted: Readonly<Record<string, string>>,
  directory: string,
  sha256: string,
  { env, files }: { readonly env: HostEnv; readonly files: HostFiles },
): Promise<"none" | "this" | "another"> {
  const real = await realPathOf(directory, files);
  let trust: "none" | "another" = "none";
  for (const [path, sum] of Object.entries(trusted)) {
    if ((await realPathOf(withHome(path, env), files)) !== real) continue;
    if (sum === sha256) return "this";
    trust = "another";
  }
  return trust;
}

export const userFileIn = (configHome: string): string => join(configHome, "opencode", FILE_NAME);
export const projectFileIn = (directory: string): string => join(directory, ".opencode", FILE_NAME);

const FILE_NAME = "parallel-agents.jsonc";

/** A file of options whose name lacks the last letter. It is not read, so without this its limits would not hold unnoticed. */
export async function findMisnamed(path: string, files: Pick<HostFiles, "exists">): Promise<ConfigProblem[]> {
  const misnamed = path.replace(/c$/, "");
  if (!(await files.exists(misnamed))) return [];
  const allowed = (await files.exists(path)) ? `${FILE_NAME} alone, which is there too` : `the name ${FILE_NAME}`;
  return [toProblem("options", misnamed, "a file of a name that is not read", allowed)];
}
