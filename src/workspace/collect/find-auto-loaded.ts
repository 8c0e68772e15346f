import { posix } from "node:path";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { isSafePath, toText } from "../paths.ts";
import { realPathOrSelf } from "../project/home-folders.ts";
import type { ProjectStore } from "../project/project-store.ts";
import type { TreeEntry } from "../project/tree-entries.ts";
import { readFound } from "../walk-folder.ts";
import { autoLoadedBy } from "./auto-loaded-files.ts";
import { hookPaths } from "./git-hooks.ts";
import { isPackage, MAX_PACKAGE_BYTES, MAX_PACKAGES, UNREAD_PACKAGE, whatInstalls } from "./install-scripts.ts";

/** A file that programs or models load on their own. */
export interface AutoLoadedFile {
  readonly path: string;
  /** Who loads it, as a clause that follows its name. */
  readonly who: string;
}

interface Change {
  readonly store: ProjectStore;
  readonly env: Readonly<Record<string, string>>;
  readonly before: ReadonlyMap<string, TreeEntry>;
  readonly after: ReadonlyMap<string, TreeEntry>;
  readonly changed: readonly string[];
}

const LINK = "120000";
const MAX_LINKS = 200;
/** Links followed on the way of one path. */
const MAX_STEPS = 20;

/** Those of a job's changes that are loaded on their own once they are in the project. */
export async function findAutoLoadedChanges(change: Change): Promise<readonly AutoLoadedFile[]> {
  const { store, env, before, after, changed } = change;
  const brought = changed.filter((path) => after.has(path));
  const links = await autoLoadedLinks(change);
  const found: AutoLoadedFile[] = [];
  const hooks = (await hookPaths(store)).map((place) => place.toLowerCase());
  const packages = brought.filter(isPackage);
  for (const path of brought) {
    const who =
      autoLoadedBy(path) ??
      autoLoadedByLink(links, path) ??
      (isHook(toText(path).toLowerCase()) ? "git runs hooks from its folder" : null) ??
      (await installs(path));
    if (who !== null) found.push({ path, who });
  }
  return found;

  /** A file where a hook path has a folder is a link, which decides where the hooks lie. */
  function isHook(path: string): boolean {
    return hooks.some((place) => isIn(path, place) || isIn(place, path));
  }

  async function installs(path: string): Promise<string | null> {
    const n = packages.indexOf(path);
    if (n < 0) return null;
    const read = (entry: TreeEntry | undefined) =>
      entry && entry.mode !== LINK ? readBlob(store, env, entry.oid) : null;
    const content = n < MAX_PACKAGES ? await read(after.get(path)) : null;
    return content === null ? UNREAD_PACKAGE : whatInstalls(await read(before.get(path)), content);
  }
}

const isIn = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** A link with a name on the list. What lies at its target is loaded as if it lay at the link. */
interface AutoLoadedLink {
  readonly path: string;
  readonly to: string;
}

async function autoLoadedLinks(change: Change): Promise<readonly AutoLoadedLink[]> {
  const links = [...change.after].filter(([path, { mode }]) => mode === LINK && autoLoadedBy(path) !== null);
  const read = linkReader(change);
  const found: AutoLoadedLink[] = [];
  for (const [path] of links.slice(0, MAX_LINKS)) {
    const to = await follow(path, change.after, read);
    if (to !== null && to !== path) found.push({ path, to });
  }
  return found;
}

/** Resolves a path by the links in a tree, including those among its folders; null = it leads out of the tree, or nowhere. */
async function follow(path: string, tree: Change["after"], read: (oid: string) => Promise<string>) {
  let rest = path.split("/");
  let done: string[] = [];
  for (let links = 0; rest.length > 0; ) {
    const [part = "", ...more] = rest;
    const here = [...done, part].join("/");
    const entry = tree.get(here);
    if (entry?.mode === LINK) {
      const target = await read(entry.oid);
      const to = posix.join(posix.dirname(here), target, ...more).replace(/\/$/, "");
      if (++links > MAX_STEPS || target.startsWith("/") || !isSafePath(to)) return null;
      [done, rest] = [[], to.split("/")];
    } else [done, rest] = [[...done, part], more];
  }
  return done.join("/");
}

function linkReader({ store, env }: Change) {
  const targets = new PromiseCache<string, string>();
  return (oid: string): Promise<string> =>
    targets.getOrMake(oid, async () => (await readBlob(store, env, oid))?.toString("latin1") ?? "/");
}

function autoLoadedByLink(links: readonly AutoLoadedLink[], path: string): string | null {
  const link = links.find(({ to }) => isIn(path, to));
  return link ? autoLoadedBy(link.path + path.slice(link.to.length)) : null;
}

/**
 * Those of the files copied to a folder of the user's project that are loaded on their own.
 * @param folder absolute
 * @param paths relative to it
 */
export async function findAutoLoadedFiles(
  folder: string,
  paths: readonly string[],
): Promise<readonly AutoLoadedFile[]> {
  const root = await realPathOrSelf(folder);
  const packages = paths.filter(isPackage);
  const found: AutoLoadedFile[] = [];
  for (const path of paths) {
    const who = autoLoadedBy(path) ?? (await installs(path));
    if (who !== null) found.push({ path, who });
  }
  return found;

  async function installs(path: string): Promise<string | null> {
    const n = packages.indexOf(path);
    if (n < 0) return null;
    const content = n < MAX_PACKAGES ? await readFound(root, path, MAX_PACKAGE_BYTES) : "";
    return typeof content === "string" ? UNREAD_PACKAGE : whatInstalls(null, content);
  }
}

/** null = too large, or git cannot read it. */
const readBlob = (store: ProjectStore, env: Change["env"], oid: string): Promise<Buffer | null> =>
  store
    .run(["cat-file", "blob", oid], {
      env,
      isUntrusted: true,
      maxBytes: MAX_PACKAGE_BYTES,
    })
    .catch(() => null);
