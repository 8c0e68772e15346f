import { isAbsolute, join, relative, sep } from "node:path";
import { parseGlob } from "./glob.ts";

/**
 * Whether the host would read a file as instructions because its configuration says so. Errs on the side of yes.
 * @param configured its `instructions`: absolute patterns, and patterns relative to the folder that is open and to each
 *   folder above it in the project; URLs are ignored
 * @param root absolute, of the project
 * @param directory absolute, the folder that is open
 * @returns a test of paths relative to `root`
 * @source OpenCode 1.18, Instruction.systemPaths
 */
export function configuredInstructions(
  configured: readonly string[],
  root: string,
  directory: string,
  home: string,
): (path: string) => boolean {
  const toDirectory = relative(root, directory);
  const names = toDirectory === "" || toDirectory.startsWith("..") ? [] : toDirectory.split(sep);
  const folders = [...names.keys(), names.length].map((count) => names.slice(0, count).join("/"));
  const patterns = configured.flatMap((pattern) => {
    if (/^https?:/.test(pattern)) return [];
    const full = pattern.startsWith("~/") ? join(home, pattern.slice(2)) : pattern;
    const all = isAbsolute(full) ? [relative(root, full)] : folders.map((folder) => join(folder, full));
    return all.map((one) => one.split(sep).join("/"));
  });
  const globs = patterns.filter((one) => !one.startsWith("../")).map((one) => parseGlob(widen(one)));
  return (path) => globs.some(({ matches }) => matches(path));
}

/**
 * The host's patterns also have alternatives, character classes and escapes, which ours lack. Each becomes a wildcard
 * that matches at least as much, and where one spans folders the rest of the pattern does.
 */
function widen(pattern: string): string {
  let wide = pattern.replace(/\\./g, "?");
  for (let before = ""; before !== wide; ) {
    before = wide;
    wide = wide.replace(/\{[^{}/]*\}|\[[^[\]/]+\]|[?*+@!]?\([^()/]*\)/g, "*");
  }
  const names = wide.split("/");
  const unclear = names.findIndex((name) => /[[\]{}()\\]/.test(name));
  return unclear < 0 ? wide : [...names.slice(0, unclear), "**"].join("/");
}
