import { posix } from "node:path";
import { workEnv } from "./gather-work.ts";
import { hooksFolder } from "./hooks-folder.ts";
import type { IndexEntry } from "./listing.ts";
import { whoObeys } from "./obeyed-files.ts";
import { isSafePath, toText } from "./paths.ts";
import type { ProjectStore } from "./project-store.ts";

/** A file that something obeys without being asked. */
export interface Obeyed {
  readonly path: string;
  /** Who obeys, in words, after its name. */
  readonly who: string;
}

interface Change {
  readonly store: ProjectStore;
  readonly jobID: string;
  readonly before: ReadonlyMap<string, IndexEntry>;
  readonly after: ReadonlyMap<string, IndexEntry>;
  readonly changed: readonly string[];
}

const LINK = "120000";
/** Links that are looked at, and followed on the way of one; package files that are read, and bytes of a file. */
const MAX_LINKS = 200;
const MAX_STEPS = 20;
const MAX_PACKAGES = 50;
const MAX_BYTES = 1024 * 1024;

/** Which of a job's changes are obeyed without being asked, once they are in the project. */
export async function findObeyed(change: Change): Promise<readonly Obeyed[]> {
  const { after, changed } = change;
  const brought = changed.filter((path) => after.has(path));
  const links = await obeyedLinks(change);
  const obeyed: Obeyed[] = [];
  const hooks = await hooksFolder(change.store);
  const packages = brought.filter((path) => posix.basename(path).toLowerCase() === "package.json");
  for (const path of brought) {
    const who =
      whoObeys(path) ??
      whoObeysBy(links, path) ??
      (hooks !== null && isIn(toText(path), hooks) ? "git runs hooks from its folder" : null) ??
      (await whatInstalls(change, packages.indexOf(path), path));
    if (who !== null) obeyed.push({ path, who });
  }
  return obeyed;
}

const isIn = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** A link that is obeyed, and where it leads: what lies there is obeyed as if it lay here. */
interface ObeyedLink {
  readonly path: string;
  readonly to: string;
}

async function obeyedLinks(change: Change): Promise<readonly ObeyedLink[]> {
  const links = [...change.after].filter(([path, { mode }]) => mode === LINK && whoObeys(path) !== null);
  const read = linkReader(change);
  const found: ObeyedLink[] = [];
  for (const [path] of links.slice(0, MAX_LINKS)) {
    const to = await follow(path, change.after, read);
    if (to !== null && to !== path) found.push({ path, to });
  }
  return found;
}

/** Where a path leads by the links of a tree, those on its way too; null = out of it, or nowhere. */
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

function linkReader({ store, jobID }: Change) {
  const known = new Map<string, Promise<string>>();
  return (oid: string): Promise<string> => {
    const target = known.get(oid) ?? readBlob(store, jobID, oid).then((bytes) => bytes?.toString("latin1") ?? "/");
    known.set(oid, target);
    return target;
  };
}

function whoObeysBy(links: readonly ObeyedLink[], path: string): string | null {
  const link = links.find(({ to }) => isIn(path, to));
  return link ? whoObeys(link.path + path.slice(link.to.length)) : null;
}

/** What npm and those like it run when packages are installed. @source npm's documentation, "scripts", life cycle */
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

/** @param n its place among the package files; below 0 = it is none */
async function whatInstalls({ store, jobID, before, after }: Change, n: number, path: string): Promise<string | null> {
  if (n < 0) return null;
  if (n >= MAX_PACKAGES) return "installing packages runs its scripts, which were not compared: there are too many";
  const scriptsOf = async (entry: IndexEntry | undefined) =>
    entry ? parseScripts(await readBlob(store, jobID, entry.oid)) : {};
  const [old, now] = [await scriptsOf(before.get(path)), await scriptsOf(after.get(path))];
  const changed = INSTALL_SCRIPTS.filter((name) => now[name] !== undefined && now[name] !== old[name]);
  return changed.length === 0 ? null : `installing packages runs its scripts: ${changed.join(", ")}`;
}

function parseScripts(content: Buffer | null): Record<string, unknown> {
  try {
    const { scripts } = JSON.parse((content?.toString("utf8") ?? "").replace(/^\uFEFF/, ""));
    return typeof scripts === "object" && scripts !== null ? scripts : {};
  } catch {
    return {}; // nothing reads it either
  }
}

const readBlob = (store: ProjectStore, jobID: string, oid: string): Promise<Buffer | null> =>
  store
    .run(["cat-file", "blob", oid], { env: workEnv(store, jobID), isUntrusted: true, maxBytes: MAX_BYTES })
    .catch(() => null);
