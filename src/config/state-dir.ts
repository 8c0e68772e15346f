import { isAbsolute, join, normalize } from "node:path";
import type { HostFiles } from "./host-files.ts";
import { type HostEnv, homeOf, isWithin, realPathOf, withHome, xdgHome } from "./host-paths.ts";

export type StateDir =
  | { readonly kind: "ok"; readonly path: string }
  | { readonly kind: "bad"; readonly found: string; readonly allowed: string };

/**
 * Resolves the directory of the durable state. It must not lie in a project: jobs would get its files, and the repository's
 * author could have put links in it.
 * @param given the option `stateDir`; null = the default
 * @param roots folders of the project, links resolved
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
  const path = normalize(wanted); // ".." is resolved in the text, not through links, as it is when a name is joined to the path
  if (!isAbsolute(path))
    return { kind: "bad", found: "a relative path", allowed: 'an absolute path, or one that begins with "~/"' };
  const home = await realPathOf(homeOf(env), files);
  const real = await realPathOf(path, files);
  if (isWithin(home, real))
    return { kind: "bad", found: "your home directory, or a folder that contains it", allowed: "a folder of its own" };
  // A home directory, or a folder that contains it, is nobody's project, even if it is a repository.
  const root = roots.find((one) => isWithin(real, one) && !isWithin(home, one));
  if (root === undefined) return { kind: "ok", path };
  return {
    kind: "bad",
    found: `a folder inside the project ${root}`,
    allowed: 'a folder outside of it, or no "stateDir", which then lies below your home',
  };
}
