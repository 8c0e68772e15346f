import type { Way } from "../links.ts";
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
  readonly mostRounds: number;
}

/** Lists what the links among the roots lead to in the work directory, over further links too. */
export async function followRoots({ roots, listed, wayOf, list, mostRounds }: RootsRequest): Promise<LinkedRoot[]> {
  const seen = new Set(roots);
  for (let round = 0; ; round++) {
    const linked = roots.flatMap((root): LinkedRoot[] => {
      const { links, end } = listed.get(root)?.to ? wayOf(root) : { links: [], end: null };
      return end === null ? [] : [{ root, links, end }];
    });
    const unseen = [...new Set(linked.map(({ end }) => end))].filter((end) => ![...seen].some((one) => isAt(end, one)));
    if (unseen.length === 0 || round === mostRounds) return linked;
    await list(unseen);
    for (const end of unseen) seen.add(end);
  }
}

/** The request, which also means what its patterns match by a path over a link. What the link itself matches is not among it. */
export function throughLinks(request: FileRequest, linked: readonly LinkedRoot[]): FileRequest {
  if (linked.length === 0) return request;
  const patterns = request.patterns.map((pattern) => ({
    ...pattern,
    matches: (path: string) => pattern.matches(path) || linked.some((root) => isMatchedThrough(pattern, path, root)),
  }));
  return { ...request, patterns };
}

/** The links over which something of these was matched. */
export function linksUsed(
  { patterns }: FileRequest,
  linked: readonly LinkedRoot[],
  files: readonly ListedFile[],
): string[] {
  const used = linked.filter((root) =>
    files.some(({ path }) => patterns.some((pattern) => isMatchedThrough(pattern, path, root))),
  );
  return used.flatMap(({ links }) => links);
}

type Pattern = FileRequest["patterns"][number];

function isMatchedThrough({ matches }: Pattern, path: string, { root, end }: LinkedRoot): boolean {
  if (matches(root) || !isAt(path, end)) return false;
  return matches(end === "" ? `${root}/${path}` : root + path.slice(end.length));
}

/** @param place "" = the folder that holds all */
export const isAt = (path: string, place: string): boolean =>
  place === "" || path === place || path.startsWith(`${place}/`);
