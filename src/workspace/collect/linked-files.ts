import { posix } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { followPath } from "../links.ts";
import { foldersAbove, fromText } from "../paths.ts";
import type { ListedFile } from "../sandbox/list-files.ts";
import { followRoots, throughLinks } from "./linked-roots.ts";
import { type FileLimits, type FileRequest, isAt, type Selection, selectFiles, sizeOf } from "./select-files.ts";

/*
 * What the links of a selection lead to comes with them: training programs keep `best.pt -> step-400/model.pt`, of which the
 * link alone is worth nothing.
 */

export interface LinkedRequest {
  readonly request: FileRequest;
  /** Absolute path of the work directory. */
  readonly workdir: string;
  readonly limits: FileLimits;
  readonly isInstructionAtTarget: (path: string) => boolean;
  /** Lists what is at these paths and below. */
  readonly list: (roots: readonly string[]) => Promise<readonly ListedFile[]>;
}

export interface LinkToNothing extends ListedFile {
  readonly why: string;
}

export interface LinkedSelection extends Selection {
  /** Links of the selection that lead to nothing of it. */
  readonly nowhere: readonly LinkToNothing[];
  /** All files that were looked at. */
  readonly listed: ReadonlyMap<string, ListedFile>;
}

/** A link may lead to a folder with further links. */
const MOST_ROUNDS = 5;
/** Places that are listed by their paths. With more, all of the work directory is. */
const MOST_LISTED = 500;

/**
 * Selects files, and what links among them lead to in the work directory, as far as the limits allow.
 * @throws PluginError as `selectFiles` does, and what `list` throws
 */
export async function selectLinked(asked: LinkedRequest): Promise<LinkedSelection> {
  const { request, limits, isInstructionAtTarget } = asked;
  const workdir = fromText(asked.workdir);
  const listed = new Map<string, ListedFile>();
  let sorted: readonly string[] = [];
  const list = async (roots: readonly string[]) => {
    for (const file of await asked.list(roots)) listed.set(file.path, withRelativeLink(file, workdir));
    sorted = [...listed.keys()].sort();
  };
  const wayOf = (path: string) => followPath(path, (one) => listed.get(one)?.to || undefined, workdir);
  const endOf = ({ path }: ListedFile) => wayOf(path).end;
  await list(request.roots);
  const linked = await followRoots({ roots: request.roots, listed, wayOf, list: tryToList });
  const through = throughLinks(request, linked);
  const first = selectFiles([...listed.values()], through.request, limits, isInstructionAtTarget);
  const selection = { ...first, files: [...first.files], links: [...first.links], leftOut: [...first.leftOut] };
  const known = new Set([...first.files, ...first.links, ...first.leftOut].map(({ path }) => path));
  let bytes = sizeOf(first.files);
  take(through.linksTo(first.files));
  // Those of its folders that lead to nothing are named with the reason.
  take(request.roots.filter((root) => listed.get(root)?.to && !existsAt(wayOf(root).end)));
  const tried = new Set<string>();
  let untried = `what it leads to was not looked for: links lead over more than ${MOST_ROUNDS} links`;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    take(selection.links.flatMap(({ path }) => wayOf(path).links));
    const there = placesOf(selection);
    const isNew = (end: string | null): end is string => end !== null && !there.has(end) && !tried.has(end);
    const ends = [...new Set(selection.links.map(endOf))].filter(isNew);
    if (ends.length === 0) break;
    const unseen = ends.filter((end) => !request.roots.some((root) => isAt(end, root)));
    if (unseen.length > 0 && !(await tryToList(unseen))) {
      untried = "what it leads to was not taken: what links lead to could not be listed, or is too many files to list";
      break;
    }
    for (const end of ends) {
      tried.add(end);
      take(below(end));
    }
  }
  const there = placesOf(selection);
  const existing = placesOf({ files: [...listed.values()], links: [] });
  const nowhere = selection.links
    .filter((link) => !there.has(endOf(link) ?? NOWHERE))
    .map((link) => ({ ...link, why: whyNot(endOf(link)) }));
  return { ...selection, nowhere, listed };

  function whyNot(end: string | null): string {
    if (end !== null && !tried.has(end)) return untried;
    if (end !== null && existing.has(end)) return "what it leads to was left out, or is more than there was room for";
    return "it is a link that leads nowhere";
  }

  /** @returns whether it could be listed: what links lead to may be too much, as a data set */
  async function tryToList(roots: readonly string[]): Promise<boolean> {
    try {
      await list(roots.length > MOST_LISTED ? [""] : roots);
      return true;
    } catch (error) {
      if (error instanceof PluginError && error.code === "collect_failed") return false;
      throw error;
    }
  }

  function existsAt(end: string | null): boolean {
    return end !== null && (listed.has(end) ? !listed.get(end)?.to : below(end).length > 0);
  }

  /** Paths of what is listed at a place and below it. */
  function below(place: string): string[] {
    const paths = place !== "" && listed.has(place) ? [place] : [];
    const prefix = place === "" ? "" : `${place}/`;
    for (let at = firstFrom(sorted, prefix); sorted[at]?.startsWith(prefix); at++) paths.push(sorted[at] as string);
    return paths;
  }

  /** Takes these too, all or none. */
  function take(paths: readonly string[]): void {
    const found = paths.filter((path) => !known.has(path)).flatMap((path) => listed.get(path) ?? []);
    const more = selectFiles(found, EVERYTHING, { ...limits, ...NO_TOTAL }, isInstructionAtTarget);
    const count = [selection.files, selection.links, more.files, more.links].reduce(
      (sum, { length }) => sum + length,
      0,
    );
    const moreBytes = sizeOf(more.files);
    if (count > limits.files || bytes + moreBytes > limits.bytes) return;
    bytes += moreBytes;
    for (const kind of ["files", "links"] as const) selection[kind].push(...more[kind]);
    selection.leftOut.push(...more.leftOut);
    for (const { path } of [...more.files, ...more.links, ...more.leftOut]) known.add(path);
  }
}

/** Is no path. */
const NOWHERE = "\0";
const EVERYTHING: FileRequest = {
  roots: [""],
  patterns: [{ name: "", matches: () => true, isNamed: () => false }],
  what: "",
};
const NO_TOTAL = { files: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** Index of the first that is not before `text`. */
function firstFrom(sorted: readonly string[], text: string): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] as string) < text) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Its files and links, and all folders above them. "" = the folder that holds all. */
function placesOf({ files, links }: Pick<Selection, "files" | "links">): ReadonlySet<string> {
  const paths = [...files, ...links].map(({ path }) => path);
  return new Set(["", ...paths, ...paths.flatMap(foldersAbove).map((folder) => folder.slice(0, -1))]);
}

/** A link that leads into the work directory by its absolute path would lead elsewhere where it is written. */
function withRelativeLink(file: ListedFile, workdir: string): ListedFile {
  const { path, to } = file;
  const inside = to.startsWith(`${workdir}/`) ? to.slice(workdir.length) : "/..";
  if (inside.split("/").includes("..")) return file;
  return { ...file, to: posix.relative(posix.dirname(`/${path}`), inside) };
}
