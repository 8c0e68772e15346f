/*
 * Folders that hold a repository, whatever they are called: `.bare`, `mirror.git`, a `.git` that was renamed. Their
 * settings may hold passwords and name programs that git runs for whoever enters them, and their objects are every version
 * of every branch, so they enter no sandbox and leave none. Paths have one character per byte (paths.ts).
 */

/** What lies beside `HEAD` in a repository. Case counts for nothing, as on some file systems. */
const BESIDE_HEAD = /^(config|packed-refs|commondir|(objects|refs)\/.+)$/i;
/** In the project's own folder this much is needed: `HEAD` and `config` may be anything there. */
const BESIDE_HEAD_OF_ALL = /^(packed-refs|refs\/(heads|tags)\/.+)$/i;
const OF_ALL = ["HEAD", "config", "objects", "refs", "packed-refs", "hooks", "worktrees", "modules"];

const OBJECT =
  /^(.*\/)?objects\/(pack\/pack-([0-9a-f]{40}|[0-9a-f]{64})\.\w+|[0-9a-f]{2}\/([0-9a-f]{38}|[0-9a-f]{62}))$/;

/**
 * The folders among `paths` that hold a repository or its objects, outermost only; where the folder that the paths start
 * from is itself one, what belongs to it.
 */
export function gitFolders(paths: Iterable<string>): string[] {
  const all = [...paths];
  const heads = new Set<string>();
  const found = new Set<string>();
  for (const path of all) {
    if (/(^|\/)HEAD$/i.test(path)) heads.add(path.slice(0, Math.max(0, path.length - "/HEAD".length)));
    const objects = OBJECT.exec(path);
    if (objects) found.add(`${objects[1] ?? ""}objects`);
  }
  if (heads.size > 0) for (const path of all) for (const folder of holdersOf(path, heads)) found.add(folder);
  return outermost(found);
}

/** Folders above a path that have a `HEAD` and, as this path shows, more of a repository. */
function holdersOf(path: string, heads: ReadonlySet<string>): string[] {
  const holders = heads.has("") && BESIDE_HEAD_OF_ALL.test(path) ? [...OF_ALL] : [];
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    const folder = path.slice(0, slash);
    if (heads.has(folder) && BESIDE_HEAD.test(path.slice(slash + 1))) holders.push(folder);
  }
  return holders;
}

function outermost(folders: ReadonlySet<string>): string[] {
  const isInside = createInside([...folders]);
  return [...folders].filter((folder) => !isInside(folder.slice(0, Math.max(0, folder.lastIndexOf("/"))))).sort();
}

/** Tells whether a path is one of `places` or lies below one of them. */
export function createInside(places: readonly string[]): (path: string) => boolean {
  const all = new Set(places);
  return (path) => {
    if (all.size === 0) return false;
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
      if (all.has(path.slice(0, slash))) return true;
    return all.has(path);
  };
}
