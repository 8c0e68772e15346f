/*
 * The files of a work directory in two sandboxes at once: the job's own, and the one with a GPU that a command of the job
 * runs in. Names are as in `workspace/paths.ts`: one character per byte.
 */

/** An entry as its sandbox lists it; every field is untrusted. */
export interface TreeEntry {
  readonly kind: "file" | "folder" | "link";
  /** Octal. */
  readonly mode: string;
  /** 0 for what is no file. */
  readonly bytes: number;
  /** Changes with every change of the entry in this sandbox, such as its times and its number; "" for folders. */
  readonly mark: string;
  /** Said of a folder that cannot be read or entered, so that what is in it is not known. */
  readonly isClosed?: true;
}

export type FileTree = ReadonlyMap<string, TreeEntry>;

/** Both sides at one moment, and where their contents are not the same. */
export interface Pairing {
  /** In the job's sandbox. */
  readonly here: FileTree;
  /** In the sandbox with the GPU. */
  readonly there: FileTree;
  /** Paths whose contents differ, or may differ, between the sides. */
  readonly apart: ReadonlySet<string>;
}

export const isSame = (a: TreeEntry | undefined, b: TreeEntry | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.kind === b.kind &&
    a.mode === b.mode &&
    a.bytes === b.bytes &&
    a.mark === b.mark);

/** Whether entries of different sandboxes may have the same content: times and numbers say nothing there. */
const isAlike = (a: TreeEntry | undefined, b: TreeEntry | undefined): boolean =>
  a !== undefined && b !== undefined && a.kind === b.kind && a.mode === b.mode && a.bytes === b.bytes;

export const pathsOf = (...trees: readonly FileTree[]): string[] => [
  ...new Set(trees.flatMap((tree) => [...tree.keys()])),
];

/**
 * The sides after one was made as a copy of the other.
 * @param before the job's side as it was before the copy was taken: what it has changed since then differs from it
 */
export function pairCopy(before: FileTree, copy: FileTree): Pairing {
  const apart = pathsOf(before, copy).filter((path) => !isAlike(before.get(path), copy.get(path)));
  return { here: before, there: copy, apart: new Set(apart) };
}

/** Whether a path lies in a folder that is closed there: that it is not listed says nothing. */
export const isHidden = (tree: FileTree, path: string): boolean =>
  ancestorsOf(path).some((folder) => tree.get(folder)?.isClosed);

/** The folders above a path, the outermost first. */
export function ancestorsOf(path: string): string[] {
  const folders: string[] = [];
  for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) folders.push(path.slice(0, at));
  return folders;
}

/** Innermost first, so that what is in a folder comes before it. */
export const innermostFirst = (paths: readonly string[]): string[] =>
  [...paths].sort((a, b) => b.split("/").length - a.split("/").length || (a < b ? -1 : 1));

export const outermostFirst = (paths: readonly string[]): string[] => innermostFirst(paths).reverse();
