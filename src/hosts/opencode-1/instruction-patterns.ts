import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Folders and names looked at for one pattern. */
const MOST_LOOKED_AT = 20_000;
/** Files that one pattern may match. */
const MOST_MATCHES = 100;

/** A folder and those above it, up to `top`, or to the root where `top` is not above it. */
export function foldersUp(folder: string, top: string): string[] {
  const folders = [folder];
  for (let at = folder; at !== top && dirname(at) !== at; at = dirname(at)) folders.push(dirname(at));
  return folders;
}

/**
 * Paths below a folder that match a pattern: `*`, `?` and `{a,b}` within a name, and `**` over folders, which follows no
 * links. What they name may be a link. A pattern too wide is not followed to its end.
 */
export async function matchPattern(folder: string, pattern: string): Promise<string[]> {
  const found = new Set<string>();
  let looked = 0;
  async function walk(at: string, [name, ...rest]: readonly string[]): Promise<void> {
    if (name === undefined || looked > MOST_LOOKED_AT || found.size >= MOST_MATCHES) return;
    if (name === "" || name === ".") return await walk(at, rest);
    if (name === "..") return await walk(dirname(at), rest);
    if (name === "**") await walk(at, rest);
    const entries = await readdir(at, { withFileTypes: true }).catch(() => []);
    looked += entries.length + 1;
    const matches = toExpression(name);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(at, entry.name);
      if (name === "**") {
        if (entry.isDirectory() && !SKIPPED.includes(entry.name)) await walk(path, [name, ...rest]);
      } else if (matches.test(entry.name)) {
        if (rest.length > 0) await walk(path, rest);
        else if (!entry.isDirectory()) found.add(path);
      }
    }
  }
  await walk(folder, pattern.split("/"));
  return [...found].slice(0, MOST_MATCHES);
}

/** Hold the files of others. */
const SKIPPED = [".git", "node_modules"];

function toExpression(name: string): RegExp {
  const source = name
    .replace(/[.+^$()|[\]\\]/g, "\\$&")
    .replace(/\?/g, "[^/]")
    .replace(/\{([^{}]*)\}/g, (_all, options: string) => `(${options.split(",").join("|")})`)
    .replace(/[{}]/g, "\\$&")
    .replace(/\*+/g, "[^/]*");
  return new RegExp(`^${source}$`, "su");
}
