import {
  ancestorsOf,
  type FileTree,
  innermostFirst,
  isHidden,
  isSame,
  outermostFirst,
  type Pairing,
  pathsOf,
  type TreeEntry,
} from "./file-trees.ts";

/** What is done to the files of one side so that it has the other's changes. Files and links come as they are there. */
export interface FilePlan {
  readonly remove: readonly string[];
  /** Removed if they are empty by then, the innermost first. */
  readonly removeFolders: readonly string[];
  /** Made, or given their mode; the outermost first. */
  readonly folders: readonly { readonly path: string; readonly mode: string }[];
  readonly put: readonly string[];
  /** Both sides have changed the path: the other version is put at `as`. */
  readonly beside: readonly { readonly path: string; readonly as: string }[];
  /** Removed there and changed here: they stay. */
  readonly kept: readonly string[];
  /** Folders that cannot be looked into on one side, and may hold changes on the other: what is in them stays. */
  readonly closed: readonly string[];
}

/** Files and links that the other side has changed or made since, which are sent over. */
export function changedThere(known: Pairing, there: FileTree): string[] {
  const isSent = (path: string) => {
    const now = there.get(path);
    return now !== undefined && now.kind !== "folder" && !isSame(known.there.get(path), now);
  };
  return [...there.keys()].filter(isSent);
}

/**
 * How the changes that a command has made in its sandbox come into the job's. Whatever the job has changed meanwhile stays,
 * and the other version is put beside it.
 * @param left paths that were not sent, such as files that are too large: they stay as they are here
 */
export function planReturn(
  known: Pairing,
  here: FileTree,
  there: FileTree,
  left: ReadonlySet<string> = new Set(),
): FilePlan {
  const isChangedHere = (path: string) => !isSame(known.here.get(path), here.get(path));
  const differ = pathsOf(known.there, there).filter((path) => !isSame(known.there.get(path), there.get(path)));
  const isSeen = (path: string) => !there.get(path)?.isClosed && !isHidden(there, path) && !isHidden(here, path);
  const changed = differ.filter((path) => !left.has(path) && isSeen(path));
  const closed = new Set([
    ...[...there].flatMap(([path, entry]) => (entry.isClosed && !known.there.get(path)?.isClosed ? [path] : [])),
    ...differ.flatMap((path) => ancestorsOf(path).find((folder) => here.get(folder)?.isClosed) ?? []),
  ]);
  const gone = changed.filter((path) => !there.has(path));
  const kept = gone.filter((path) => here.has(path) && isChangedHere(path) && here.get(path)?.kind !== "folder");
  const remove = gone.filter((path) => isFileOrLink(here.get(path)) && !isChangedHere(path));
  /** Gone, or replaced by a file. */
  const removeFolders = changed.filter(
    (path) => here.get(path)?.kind === "folder" && there.get(path)?.kind !== "folder" && !isChangedHere(path),
  );
  /** Files here that the other side has replaced by folders. */
  const becomeFolders = changed.filter(
    (path) => there.get(path)?.kind === "folder" && isFileOrLink(here.get(path)) && !isChangedHere(path),
  );
  const removed = new Set([...remove, ...becomeFolders]);
  const inTheWay = blockersOf(here, removed);
  const vanish = emptiedFolders(here, removeFolders, removed);
  const besideName = uniqueNames(here, there);

  const folders = new Map<string, string>();
  const put: string[] = [];
  const beside: { path: string; as: string }[] = [];
  const needFolders = (path: string) => {
    for (const folder of ancestorsOf(path))
      if (here.get(folder)?.kind !== "folder" && !folders.has(folder))
        folders.set(folder, there.get(folder)?.mode ?? "755");
  };
  for (const path of changed) {
    const entry = there.get(path);
    if (!entry) continue;
    const blocker = inTheWay(path);
    if (entry.kind === "folder") {
      const isTheirs = blocker === null && (!isChangedHere(path) || here.get(path)?.kind === "folder");
      const isWanted = known.there.get(path)?.mode !== entry.mode || here.get(path)?.mode === undefined;
      const isOwnMode = here.get(path)?.kind === "folder" && isChangedHere(path);
      if (isTheirs && isWanted && !isOwnMode) {
        needFolders(path);
        folders.set(path, entry.mode);
      }
      continue;
    }
    const own = here.get(path);
    const isFree = blocker === null && !isChangedHere(path) && (own?.kind !== "folder" || vanish.has(path));
    if (isFree) {
      needFolders(path);
      put.push(path);
      continue;
    }
    const at = blocker ?? path;
    const as = besideName(at) + path.slice(at.length);
    needFolders(as);
    beside.push({ path, as });
  }
  return {
    remove: [...removed],
    removeFolders: innermostFirst([...vanish]),
    folders: outermostFirst([...folders.keys()]).map((path) => ({ path, mode: folders.get(path) ?? "755" })),
    put,
    beside,
    kept,
    closed: [...closed],
  };
}

/**
 * How the sandbox with the GPU gets the job's files as they are now: whatever differs there is replaced.
 * @param left paths of the other side that stay although the job has not got them, unless it has changed them since
 */
export function planMirror(
  known: Pairing,
  here: FileTree,
  there: FileTree,
  left: ReadonlySet<string> = new Set(),
): FilePlan {
  const stays = (path: string) => left.has(path) && isSame(known.here.get(path), here.get(path));
  const isEqual = (path: string) =>
    !known.apart.has(path) &&
    isSame(known.here.get(path), here.get(path)) &&
    isSame(known.there.get(path), there.get(path));
  const holds = new Set([...left].filter(stays).flatMap(ancestorsOf));
  const put = [...here].flatMap(([path, entry]) =>
    entry.kind !== "folder" && !isEqual(path) && !stays(path) ? [path] : [],
  );
  const isWrong = (path: string, entry: TreeEntry) => {
    const own = here.get(path);
    return (
      !stays(path) &&
      !holds.has(path) &&
      !isHidden(here, path) &&
      (own === undefined || (own.kind === "folder") !== (entry.kind === "folder"))
    );
  };
  const wrong = [...there].filter(([path, entry]) => isWrong(path, entry));
  const folders = [...here].flatMap(([path, entry]) =>
    entry.kind === "folder" && (there.get(path)?.kind !== "folder" || there.get(path)?.mode !== entry.mode)
      ? [{ path, mode: entry.mode }]
      : [],
  );
  return {
    remove: wrong.flatMap(([path, { kind }]) => (kind === "folder" ? [] : [path])),
    removeFolders: innermostFirst(wrong.flatMap(([path, { kind }]) => (kind === "folder" ? [path] : []))),
    folders: folders.sort((a, b) => a.path.split("/").length - b.path.split("/").length),
    put,
    beside: [],
    kept: [],
    closed: [],
  };
}

export const isEmptyPlan = ({ remove, removeFolders, folders, put, beside }: FilePlan): boolean =>
  remove.length + removeFolders.length + folders.length + put.length + beside.length === 0;

const isFileOrLink = (entry: TreeEntry | undefined): boolean => entry !== undefined && entry.kind !== "folder";

/** Finds the outermost folder above a path that is none here, and stays so. A link to a folder is never followed. */
function blockersOf(here: FileTree, removed: ReadonlySet<string>): (path: string) => string | null {
  return (path) => ancestorsOf(path).find((folder) => isFileOrLink(here.get(folder)) && !removed.has(folder)) ?? null;
}

/** Those of the folders to remove in which nothing stays. */
function emptiedFolders(
  here: FileTree,
  removeFolders: readonly string[],
  removed: ReadonlySet<string>,
): ReadonlySet<string> {
  const toRemove = new Set(removeFolders);
  const full = new Set<string>();
  for (const [path, { kind }] of here)
    if (kind === "folder" ? !toRemove.has(path) : !removed.has(path))
      for (const folder of ancestorsOf(path)) full.add(folder);
  return new Set([...toRemove].filter((path) => !full.has(path)));
}

/** Names beside a path that are free on both sides. A path always gets the same ones. */
function uniqueNames(here: FileTree, there: FileTree): (path: string) => string {
  const given = new Map<string, string>();
  const taken = new Set<string>();
  return (path) => {
    const known = given.get(path);
    if (known !== undefined) return known;
    for (let count = 1; ; count++) {
      const name = `${path}.from-gpu${count === 1 ? "" : `-${count}`}`;
      if (here.has(name) || there.has(name) || taken.has(name)) continue;
      taken.add(name);
      given.set(path, name);
      return name;
    }
  };
}
