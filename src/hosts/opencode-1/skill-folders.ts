import { lstatSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, posix, relative, sep } from "node:path";
import type { CatalogSkill } from "../../jobs/core/ports.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { createFewAtATime } from "../../shared/few-at-a-time.ts";
import { plainName } from "../../shared/plain-text.ts";
import type { Git } from "../../workspace/git.ts";
import { type Homes, isHome, readHomes, realPathOrSelf } from "../../workspace/project/home-folders.ts";
import { ignoredNames } from "../../workspace/project/git-ignored.ts";
import { toText } from "../../workspace/paths.ts";
import { type FolderEntry, isUtf8, readFound, resolveLink, walkFolder } from "../../workspace/walk-folder.ts";

/** A skill is text and a few scripts; a folder above this is something else. */
const LIMIT_BYTES = 50 * 1024 * 1024;
const LIMITS = { entries: 10_000, depth: 40 };

/** Over a network one after another takes as many round trips as there are files. */
const WRITES_AT_ONCE = 4;

const SHOWN = 20;

/** Where a skill's folder is in a sandbox. */
export const skillFolder = (sandbox: Pick<Sandbox, "home">, name: string): string =>
  posix.join(sandbox.home, "skills", name.replace(/[^A-Za-z0-9._-]/g, "_"));

/** Where the host looks for what is the user's own, whatever is opened. */
const OWN = [".config/opencode", ".opencode", ".claude", ".agents"];

/**
 * The project that a skill came with; null when it is the user's own. A repository is not the user: its skills are its
 * own files and nothing that they point at, while a user may well keep his elsewhere, and link them to where the host looks.
 * @param location of its SKILL.md, as the host found it
 * @param places folders that are open, absolute
 */
export function projectOfSkill(
  location: string,
  places: readonly string[],
  homes: Homes,
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  const own = [...[homedir(), ...homes.own].flatMap((home) => OWN.map((name) => join(home, name)))];
  if (env.XDG_CONFIG_HOME) own.push(join(env.XDG_CONFIG_HOME, "opencode"));
  if (env.OPENCODE_CONFIG_DIR) own.push(env.OPENCODE_CONFIG_DIR);
  if (own.some((folder) => isBelow(location, folder))) return null;
  return places.find((place) => isBelow(location, place)) ?? null;
}

/** Of the folders that are open those that are a project. */
export async function projectPlaces(folders: readonly string[]): Promise<{ places: readonly string[]; homes: Homes }> {
  const homes = await readHomes();
  const real = await Promise.all(folders.map(realPathOrSelf));
  return { places: [...folders, ...real].filter((_, n) => !isHome(real[n % real.length] as string, homes)), homes };
}

/**
 * Copies a skill's folder into a sandbox: its plain files, and for a link to one of them that file. Of a project's
 * skill what git ignores stays, as it does of the project.
 * @returns what did not go along, in words for whoever reads the job's notes
 * @throws Error when it cannot be read, is too large, or is a link out of the project that it came with
 */
export async function copySkill(skill: CatalogSkill, sandbox: Sandbox, git: Git): Promise<readonly string[]> {
  const root = await rootOf(skill);
  const target = skillFolder(sandbox, skill.name);
  const { files: found, left } = await filesOf(root, skill.name);
  const ignored = skill.project === null ? new Set() : await ignoredOf(git, root, found, skill.name);
  const files = found.filter(({ from }) => !ignored.has(from));
  for (const { path, from } of found) if (ignored.has(from)) left.push({ path, why: "is ignored by git" });
  const copying = createFewAtATime(WRITES_AT_ONCE);
  const copies = files.map(({ path, from, isExecutable }) =>
    copying(async () => {
      const content = await readFound(root, from, LIMIT_BYTES);
      if (typeof content === "string") left.push({ path, why: content });
      else await sandbox.writeFile(posix.join(target, toText(path)), content, { executable: isExecutable });
    }),
  );
  await Promise.all(copies);
  return left.length === 0 ? [] : [toNote(skill.name, left)];
}

type FileEntry = Extract<FolderEntry, { kind: "file" }>;

interface SkillFile {
  readonly path: string;
  /** Where it lies: another place where `path` is a link. */
  readonly from: string;
  readonly isExecutable: boolean;
}

interface Left {
  readonly path: string;
  readonly why: string;
}

/** @throws Error where what the skill's name stands for is not the project's own */
async function rootOf({ name, folder, project }: CatalogSkill): Promise<string> {
  const root = await realPathOrSelf(folder);
  if (isHome(root, await readHomes())) throw new Error(`the folder of skill ${plainName(name)} is a home directory`);
  if (project === null) return root;
  const top = await realPathOrSelf(project);
  // All of the project would go along, ignored files and all.
  if (root === top)
    throw new Error(`the folder of skill ${plainName(name)} is the whole project ${project}; give it its own`);
  for (const real of [root, await realPathOrSelf(join(folder, "SKILL.md"))])
    if (!isBelow(real, top))
      throw new Error(`skill ${plainName(name)} is a link that leads out of its project ${project}`);
  return root;
}

async function filesOf(root: string, name: string): Promise<{ files: SkillFile[]; left: Left[] }> {
  const [files, left, links]: [SkillFile[], Left[], string[]] = [[], [], []];
  const found = new Map<string, FileEntry>();
  let total = 0;
  const add = (path: string, { path: from, bytes, isExecutable }: FileEntry) => {
    total += bytes; // of a link too: it is written as often as it is named
    if (total > LIMIT_BYTES) throw new Error(`the folder of skill ${plainName(name)} is larger than 50 MiB`);
    if (isUtf8(path)) files.push({ path, from, isExecutable });
    else left.push({ path, why: "has a name that is not text" });
  };
  for await (const entry of walkFolder(Buffer.from(root), LIMITS)) {
    if (entry.kind === "link") links.push(entry.path);
    else if (entry.kind === "special") left.push({ path: entry.path, why: "is a pipe, socket or device" });
    else if (entry.kind === "closed" && entry.path === "")
      throw new Error(`the folder of skill ${plainName(name)} ${entry.why}`);
    else if (entry.kind === "closed") left.push(entry);
    else if (entry.kind === "file") {
      found.set(entry.path, entry);
      add(entry.path, entry);
    }
  }
  for (const path of links) {
    const target = await resolveLink(root, path);
    const entry = typeof target === "string" ? undefined : found.get(target.path);
    if (entry) add(path, entry);
    else left.push({ path, why: typeof target === "string" ? target : "is a link to what was left out" });
  }
  return { files, left };
}

/**
 * Where the skill itself is ignored its folder is kept apart as a whole, and git says nothing of what is in it.
 * @throws Error when it lies in a repository and git cannot say what is ignored there
 */
async function ignoredOf(
  git: Git,
  root: string,
  files: readonly SkillFile[],
  name: string,
): Promise<ReadonlySet<string>> {
  if (!isInRepository(root)) return new Set();
  const ask = (args: readonly string[], input: Uint8Array) => git.read({ args, cwd: root, config: "user", input });
  const names = files.map(({ from }) => from);
  const ignored = await ignoredNames(ask, names).catch((error: Error) => {
    const doing = `could not ask git which files of skill ${plainName(name)} it ignores, and those must not go along`;
    throw new Error(`${doing} (${error.message})`, { cause: error });
  });
  return ignored.includes("SKILL.md") ? new Set() : new Set(ignored);
}

/** By what lies on the disk: git fails alike where there is no repository and where it cannot read one. */
function isInRepository(folder: string): boolean {
  if (lstatSync(join(folder, ".git"), { throwIfNoEntry: false })) return true;
  const above = dirname(folder);
  return above !== folder && isInRepository(above);
}

function toNote(name: string, left: readonly Left[]): string {
  const named = left.slice(0, SHOWN).map(({ path, why }) => `${plainName(toText(path))} (it ${why})`);
  const more = left.length > SHOWN ? ` and ${left.length - SHOWN} more` : "";
  return `Of skill ${plainName(name)} these were left out: ${named.join(", ")}${more}.`;
}

const isBelow = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !way.startsWith(sep);
};
