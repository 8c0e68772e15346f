type Env = Readonly<Record<string, string>>;

const OWN = /\$(?:PATH(?!\w)|\{PATH\})/g;

/** Whether a PATH has a `$` that would be taken as it stands: only `$PATH` and `${PATH}` are replaced. */
export const hasOtherVariable = (path: string): boolean => path.replace(OWN, "").includes("$");

/**
 * Variables for a sandbox whose own PATH is `own`, which takes the place of `$PATH` in theirs, as in a recipe for an image.
 * It is added to a PATH that has none of its folders: not even a shell would be found.
 */
export function withOwnPath(env: Env, own: string): Env {
  if (env.PATH === undefined) return env;
  const path = env.PATH.replace(OWN, () => own);
  const ours = new Set(own.split(":"));
  const isWhole = path.split(":").some((folder) => ours.has(folder));
  return { ...env, PATH: isWhole || own === "" ? path : [path, own].filter(Boolean).join(":") };
}
