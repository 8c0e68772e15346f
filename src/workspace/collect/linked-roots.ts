import type { Way } from "../links.ts";
import { foldersAbove } from "../paths.ts";
import type { ListedFile } from "../sandbox/list-files.ts";
import type { FileRequest } from "./select-files.ts";

/*
 * Folders of a request that are links: `runs/latest/*.pt`, where `runs/latest` leads to the newest run. Listing a link does not
 * list what is in the folder that it leads to, so that is looked for in its own place.
 */

/** A folder of a request that leads elsewhere. */
export interface LinkedRoot {
  readonly root: string;
  /** All links on the way. */
  readonly links: readonly string[];
  /** Where it leads; "" = the work directory. */
  readonly end: string;
}

export interface RootsRequest {
  readonly roots: readonly string[];
  readonly listed: ReadonlyMap<string, ListedFile>;
  /** Where a path leads, as far as is known from what is listed. */
  readonly wayOf: (path: string) => Way;
  /** Lists more. */
  readonly list: (places: readonly string[]) => Promise<unknown>;
}

/** Lists what the links among the roots lead to in the work directory, over as many further links as the kernel follows. */
export async function followRoots({ roots, listed, wayOf, list }: RootsRequest): Promise<LinkedRoot[]> {
  const seen = new Set(roots);
  for (;;) {
    const linked = roots.flatMap((root): LinkedRoot[] => {
      const { links, end } = listed.get(root)?.to ? wayOf(root) : { links: [], end: null };
      return end === null ? [] : [{ root, links, end }];
    });
    const isSeen = (end: string) => placesAbove(end).some((place) => seen.has(place));
    const unseen = [...new Set(linked.map(({ end }) => end))].filter((end) => !isSeen(end));
    if (unseen.length === 0) return linked;
    await list(unseen);
    for (const end of unseen) seen.add(end);
  }
}

export interface ThroughLinks {
  /** The request, which also means what its patterns match by a path over a link. What the link itself matches is not among it. */
  readonly request: FileRequest;
  /** The links over which something of these was matched. */
  linksTo(files: readonly ListedFile[]): string[];
}

export function throughLinks(request: FileRequest, linked: readonly LinkedRoot[]): ThroughLinks {
  if (linked.length === 0) return { request, linksTo: () => [] };
  const used = new Set<LinkedRoot>();
  let last = { path: "", places: [""] };
  /** Found by the places of a path, once for all patterns: there may be as many links as patterns. */
  const placesOf = (path: string) => {
    if (path !== last.path) last = { path, places: placesAbove(path).filter((place) => ends.has(place)) };
    return last.places;
  };
  const ends = new Set(linked.map(({ end }) => end));
  const patterns = request.patterns.map((pattern) => {
    const byEnd = new Map<string, LinkedRoot[]>();
    for (const one of linked) if (!pattern.matches(one.root)) byEnd.set(one.end, [...(byEnd.get(one.end) ?? []), one]);
    const isOver = (path: string, { root, end }: LinkedRoot) =>
      pattern.matches(end === "" ? `${root}/${path}` : root + path.slice(end.length));
    const over = (path: string): LinkedRoot[] =>
      placesOf(path).flatMap((place) => (byEnd.get(place) ?? []).filter((one) => isOver(path, one)));
    return { ...pattern, over, matches: (path: string) => pattern.matches(path) || over(path).length > 0 };
  });
  return {
    request: { ...request, patterns },
    linksTo(files) {
      for (const { path } of files) for (const { over } of patterns) for (const root of over(path)) used.add(root);
      return [...used].flatMap(({ links }) => links);
    },
  };
}

/** The path, and all folders that it lies in; "" = the one that holds all. */
const placesAbove = (path: string): string[] => ["", ...foldersAbove(path).map((folder) => folder.slice(0, -1)), path];
