import { isAbsolute, join, normalize } from "node:path";
import type { HostFiles } from "./host-files.ts";
import { type HostEnv, homeOf, isWithin, realPathOf, withHome, xdgHome } from "./host-paths.ts";

export type StateDir =
  | { readonly kind: "ok"; readonly path: string }
  | { readonly kind: "bad"; readonly found: string; readonly allowed: string };

/**
 * The state's directory, which is never a part of a project: jobs would get it as files, and whoever wrote the repository
 * could have put links in it.
 * @param roots folders of the project, without links
 */
export async function toStateDir(
  given: string | null,
  roots: readonly string[],
  env: HostEnv,
  files: HostFiles,
): Promise<StateDir> {
  const wanted =
    given === null
      ? join(xdgHome(env.XDG_DATA_HOME, env, ".local", "share"), "opencode", "parallel-agents")
      : withHome(given, env);
  const path = normalize(wanted); // as whoever joins a name to it has it: ".." by the text, not by where a link leads
  if (!isAbsolute(path))
    return { kind: "bad", found: "a relative path", allowed: 'an absolute path, or one that begins with "~/"' };
  const home = await realPathOf(homeOf(env), files);
  const real = await realPathOf(path, files);
  if (isWithin(home, real))
    return { kind: "bad", found: "your home, or a folder around it", allowed: "a folder of its own" };
  // Home, and what lies around it, is nobody's project, also where it is a repository: the state is at home there.
  const root = roots.find((one) => isWithin(real, one) && !isWithin(home, one));
  if (root === undefined) return { kind: "ok", path };
  return {
    kind: "bad",
    found: `a folder inside the project ${root}`,
    allowed: 'a folder outside of it, or no "stateDir", which is below your home',
  };
}
