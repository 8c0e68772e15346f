import { createInside, gitFolders } from "../git-folders.ts";
import { followPath } from "../links.ts";
import { foldersAbove, isSafePath } from "../paths.ts";
import type { TreeEntry } from "../project/tree-entries.ts";
import type { Protection } from "./protection.ts";

/*
 * Which files a measurement has: the project's, with a job's changes where they may count. Nothing that a job did reaches
 * a protected file, by whatever name or way, and none of its files gets into the benchmark's own programs by itself.
 */

/** One file that a job has in another version than the project. */
export interface Change {
  readonly path: string;
  /** null = removed. */
  readonly entry: TreeEntry | null;
  /** What the link contains, if it is one. */
  readonly target: string | null;
}

/** Why a change does not count: it is protected; it would get in by itself; something else. */
export type Refusal = "protected" | "start-up" | "other";

export interface Refused {
  readonly path: string;
  readonly kind: Refusal;
  /** A clause that follows the file's name. */
  readonly why: string;
}

export interface MeasuredTree {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  readonly refused: readonly Refused[];
  /** Changes that count. */
  readonly taken: readonly Change[];
}

export interface MeasuredRequest {
  /** The project's files. */
  readonly base: ReadonlyMap<string, TreeEntry>;
  /** Targets of the project's links, by path. */
  readonly links: ReadonlyMap<string, string>;
  /** Of one path the last counts. */
  readonly changes: readonly Change[];
  readonly protection: Protection;
  /** Tells how a file would get in by itself; null = it would not, or it is meant to. */
  readonly startUp: (path: string, isLink: boolean) => string | null;
  /** Absolute, one character per byte. */
  readonly workdir: string;
}

const LINK = "120000";
const FILE_MODES = new Set(["100644", "100755", LINK]);

export function decideMeasuredTree(request: MeasuredRequest): MeasuredTree {
  const { base, links, protection, startUp, workdir } = request;
  const changes = [...new Map(request.changes.map((change) => [change.path, change])).values()];
  const isInRepository = createInside(gitFolders(changes.flatMap(({ path, entry }) => (entry ? [path] : []))));
  const refused: Refused[] = [];
  const open: Change[] = [];
  for (const change of changes) {
    const refusal = refuse(change);
    if (refusal) refused.push({ path: change.path, ...refusal });
    else open.push(change);
  }
  // What takes the place of a file comes after the file is gone; and a link can only be judged among all other files.
  let { entries, blocked } = apply(open);
  let taken = open.filter((change) => !blocked.has(change));
  for (const { path } of blocked)
    refused.push({ path, kind: "other", why: "something of the project's is in its place" });
  for (let bad = astray(); bad.length > 0; bad = astray()) {
    for (const { change, ...refusal } of bad) refused.push({ path: change.path, ...refusal });
    const dropped = new Set(bad.map(({ change }) => change));
    taken = taken.filter((change) => !dropped.has(change));
    ({ entries, blocked } = apply(taken));
    for (const { path } of blocked)
      refused.push({ path, kind: "other", why: "something of the project's is in its place" });
    taken = taken.filter((change) => !blocked.has(change));
  }
  return { entries, refused, taken };

  function refuse({ path, entry }: Change): Omit<Refused, "path"> | null {
    if (protection.covers(path)) return { kind: "protected", why: "it is protected" };
    if (protection.isAbove(path)) return { kind: "protected", why: "protected files lie below it" };
    const who = startUp(path, entry?.mode === LINK);
    if (who !== null) return { kind: "start-up", why: who };
    if (!isSafePath(path)) return { kind: "other", why: "some file system takes its name for another place" };
    if (isInRepository(path)) return { kind: "other", why: "it belongs to a repository that the job made" };
    if (entry && !FILE_MODES.has(entry.mode)) return { kind: "other", why: "it is a repository of its own" };
    return null;
  }

  function apply(wanted: readonly Change[]) {
    const made = new Map(base);
    for (const { path, entry } of wanted) if (entry === null) made.delete(path);
    const folders = new Set([...made.keys()].flatMap(foldersAbove));
    const inTheWay = new Set<Change>();
    for (const change of wanted) {
      const { path, entry } = change;
      if (entry === null) continue;
      const above = foldersAbove(path);
      if (above.some((folder) => made.has(folder.slice(0, -1))) || folders.has(`${path}/`)) inTheWay.add(change);
      else {
        made.set(path, entry);
        for (const folder of above) folders.add(folder);
      }
    }
    return { entries: made as ReadonlyMap<string, TreeEntry>, blocked: inTheWay as ReadonlySet<Change> };
  }

  /** The job's links that lead to protected files, or out of the work directory. */
  function astray() {
    const targets = new Map(links);
    for (const { path, target } of taken) {
      if (target === null) targets.delete(path);
      else targets.set(path, target);
    }
    const own = taken.filter(({ target }) => target !== null);
    return own.flatMap((change): (Omit<Refused, "path"> & { readonly change: Change })[] => {
      const { links: visited, end } = followPath(change.path, (path) => targets.get(path), workdir);
      if (end === null) return [{ change, kind: "other", why: "it is a link that leads out of the work directory" }];
      const isReached =
        end === "" || [end, ...visited].some((one) => protection.covers(one) || protection.isAbove(one));
      return isReached ? [{ change, kind: "protected", why: "it is a link to what is protected" }] : [];
    });
  }
}
