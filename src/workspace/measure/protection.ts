import { posix } from "node:path";
import { normalizeName } from "../collect/auto-loaded-files.ts";
import { parseGlob } from "../collect/glob.ts";
import { followPath } from "../links.ts";
import { foldersAbove, fromText, toText } from "../paths.ts";

/*
 * What `protect` covers. A protected file is the project's own in a measurement, by whatever name or way something reaches
 * it: in another spelling that some file system takes for the same name, through a link of the project's, or as the folder
 * or link that leads to it.
 */

export interface Protection {
  /** The project's files that are protected. */
  readonly files: readonly string[];
  /** Globs that match no file of the project. */
  readonly unmatched: readonly string[];
  /** Whether what a job has at this path does not count. */
  covers(path: string): boolean;
  /** Whether protected files lie below this path, so that nothing else may take the place of the folder. */
  isAbove(path: string): boolean;
}

export interface ProtectedTree {
  /** All files and links of the project. */
  readonly paths: readonly string[];
  /** Targets of the links among them, by path. */
  readonly links: ReadonlyMap<string, string>;
  /** Absolute path of the work directory, one character per byte. */
  readonly workdir: string;
}

/** Names of one path: links that lead to a folder above themselves give it any number. */
const MAX_NAMES = 200;

export function createProtection(globs: readonly string[], { paths, links, workdir }: ProtectedTree): Protection {
  const patterns = globs.map((glob) => parsePattern(glob, toText(workdir)));
  /** By where they lead. */
  const linksTo = new Map<string, string[]>();
  for (const path of links.keys()) {
    const { end } = follow(path);
    if (end !== null) linksTo.set(plain(end), [...(linksTo.get(plain(end)) ?? []), path]);
  }
  const folders = new Map<string, string>();
  const plainFolder = (path: string) => folders.get(path) ?? (folders.set(path, plain(path)).get(path) as string);

  function follow(path: string) {
    return followPath(path, (one) => links.get(one), workdir);
  }

  /** The path, and the names that the project's links give it. */
  function namesOf(path: string): ReadonlySet<string> {
    const names = new Set([path]);
    if (linksTo.size === 0) return names;
    for (const name of names) {
      const places = [...foldersAbove(name).map((folder) => folder.slice(0, -1)), name];
      for (const place of names.size < MAX_NAMES ? places : [])
        for (const link of linksTo.get(plainFolder(place)) ?? []) names.add(link + name.slice(place.length));
    }
    return names; // a set's iteration also visits what is added meanwhile
  }

  /** Links that lead to protected files: whoever replaces one leads elsewhere. */
  const pinned = new Set<string>();
  const matched = new Set<string>();
  const files: string[] = [];
  for (const path of paths) {
    const protecting = [...namesOf(path)].filter((name) => {
      const hits = patterns.filter(({ matches }) => matches(name));
      for (const { glob } of hits) matched.add(glob);
      return hits.length > 0;
    });
    if (protecting.length === 0) continue;
    files.push(path);
    for (const name of protecting) for (const link of follow(name).links) pinned.add(plain(link));
  }
  // Those that lead to them by names that no glob matches, too: the benchmark may use any of them.
  const ways = new Set(
    [...files, ...files.flatMap((path) => foldersAbove(path).map((one) => one.slice(0, -1)))].map(plain),
  );
  for (const path of files.length > 0 ? links.keys() : []) {
    const { links: visited, end } = follow(path);
    if (end !== null && (end === "" || ways.has(plain(end)))) for (const link of visited) pinned.add(plain(link));
  }
  const above = new Set(
    [...files, ...pinned].flatMap((path) => foldersAbove(path).map((one) => plain(one.slice(0, -1)))),
  );
  return {
    files,
    unmatched: globs.filter((glob) => !matched.has(glob)),
    covers: (path) =>
      pinned.has(plain(path)) || [...namesOf(path)].some((name) => patterns.some(({ covers }) => covers(name))),
    isAbove: (path) => above.has(plain(path)),
  };
}

interface Pattern {
  readonly glob: string;
  matches(path: string): boolean;
  /** Also in another spelling. */
  covers(path: string): boolean;
}

/** A path in the form in which the most lenient file system compares it. */
const plain = (path: string): string => toText(path).split("/").map(normalizeName).join("/");

/** The glob as a path of the work directory; it may begin with that folder, or go through others. */
export const inWorkdir = (glob: string, workdir: string): string =>
  posix.relative(workdir, posix.resolve(workdir, glob)) || "**";

function parsePattern(glob: string, workdir: string): Pattern {
  const path = inWorkdir(glob, workdir);
  const exact = parseGlob(path);
  const lenient = parseGlob(
    path
      .split("/")
      .map((name) => (/^\**$/.test(name) ? name : normalizeName(name)))
      .join("/"),
  );
  const literal = fromText(path); // a name may have wildcard characters in it
  const isNamed = (one: string) => one === literal || one.startsWith(`${literal}/`);
  const matches = (one: string) => isNamed(one) || exact.matches(toText(one));
  return { glob, matches, covers: (one) => matches(one) || lenient.matches(plain(one)) };
}
