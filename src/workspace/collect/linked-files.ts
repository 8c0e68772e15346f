import { posix } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { followPath } from "../links.ts";
import { foldersAbove, fromText } from "../paths.ts";
import type { ListedFile } from "../sandbox/list-files.ts";
import { type FileLimits, type FileRequest, isWithin, type Selection, selectFiles } from "./select-files.ts";

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
/** Places that are looked for; each is compared with every file. */
const MOST_ENDS = 500;

/**
 * Selects files, and what links among them lead to in the work directory, as far as the limits allow.
 * @throws PluginError as `selectFiles` does, and what `list` throws
 */
export async function selectLinked(asked: LinkedRequest): Promise<LinkedSelection> {
  const { request, limits, isInstructionAtTarget } = asked;
  const workdir = fromText(asked.workdir);
  const listed = new Map<string, ListedFile>();
  const list = async (roots: readonly string[]) => {
    for (const file of await asked.list(roots)) listed.set(file.path, withRelativeLink(file, workdir));
  };
  const endOf = ({ path }: ListedFile) => followPath(path, (one) => listed.get(one)?.to || undefined, workdir).end;
  await list(request.roots);
  let selection = selectFiles([...listed.values()], request, limits, isInstructionAtTarget);
  const tried = new Set<string>();
  let untried = `what it leads to was not looked for: links lead to more than ${MOST_ENDS} places, or over more than ${MOST_ROUNDS} links`;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const there = placesOf(selection);
    const isNew = (end: string | null): end is string => end !== null && !there.has(end) && !tried.has(end);
    const ends = [...new Set(selection.links.map(endOf))].filter(isNew).slice(0, MOST_ENDS - tried.size);
    if (ends.length === 0) break;
    const unseen = ends.filter((end) => !request.roots.some((root) => root === "" || isAt(end, root)));
    if (unseen.length > 0 && !(await tryToList(unseen))) {
      untried = "what it leads to was not taken: what links lead to could not be listed, or is too many files to list";
      break;
    }
    for (const end of ends) {
      tried.add(end);
      selection = withPlace(selection, end);
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

  /** What links lead to may be too much to list, as a data set. */
  async function tryToList(roots: readonly string[]): Promise<boolean> {
    try {
      await list(roots);
      return true;
    } catch (error) {
      if (error instanceof PluginError && error.code === "collect_failed") return false;
      throw error;
    }
  }

  function withPlace(before: Selection, place: string): Selection {
    const known = new Set([...before.files, ...before.links, ...before.leftOut].map(({ path }) => path));
    const found = [...listed.values()].filter(({ path }) => isAt(path, place) && !known.has(path));
    const more = selectFiles(found, EVERYTHING, { ...limits, ...NO_TOTAL }, isInstructionAtTarget);
    const files = [...before.files, ...more.files];
    const links = [...before.links, ...more.links];
    if (!isWithin(limits, files, links)) return before;
    return { ...before, files, links, leftOut: [...before.leftOut, ...more.leftOut] };
  }
}

/** Is no path. */
const NOWHERE = "\0";
const EVERYTHING: FileRequest = { roots: [""], patterns: [{ name: "", matches: () => true, isNamed: () => false }] };
const NO_TOTAL = { files: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

const isAt = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`);

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
