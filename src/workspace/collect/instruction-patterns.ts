import { isAbsolute, join, relative, sep } from "node:path";
import { parseGlob } from "./glob.ts";

/**
 * Whether the host would read a file as instructions because its configuration says so.
 * @param configured as in its `instructions`: patterns that count from the folder that is open and from each above it
 *   in the project, or absolute ones; others are addresses
 * @param root absolute, of the project
 * @param directory absolute, the folder that is open
 * @source OpenCode 1.18, Instruction.systemPaths
 */
export function configuredInstructions(
  configured: readonly string[],
  root: string,
  directory: string,
  home: string,
): (path: string) => boolean {
  const way = relative(root, directory);
  const parts = way === "" || way.startsWith("..") ? [] : way.split(sep);
  const folders = [...parts.keys(), parts.length].map((n) => parts.slice(0, n).join("/"));
  const patterns = configured.flatMap((pattern) => {
    if (/^https?:/.test(pattern)) return [];
    const full = pattern.startsWith("~/") ? join(home, pattern.slice(2)) : pattern;
    const all = isAbsolute(full) ? [relative(root, full)] : folders.map((folder) => join(folder, full));
    return all.map((one) => one.split(sep).join("/"));
  });
  const globs = patterns.filter((one) => !one.startsWith("../")).flatMap(tryGlob);
  return (path) => globs.some(({ matches }) => matches(path));
}

/** One with more alternatives than anybody writes matches nothing here. */
function tryGlob(pattern: string) {
  try {
    return [parseGlob(pattern)];
  } catch {
    return [];
  }
}
