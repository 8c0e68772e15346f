import { lstatSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { isWithin } from "../../config/host-paths.ts";
import type { Job } from "../../core/job.ts";
import type { Catalog, CatalogSkill } from "../../core/ports.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { createConcurrencyLimit } from "../../shared/concurrency-limit.ts";
import { plainName } from "../../shared/plain-text.ts";
import type { Git } from "../../workspace/git.ts";
import { toText } from "../../workspace/paths.ts";
import { ignoredNames } from "../../workspace/project/git-ignored.ts";
import { isHome, readHomes, realPathOrSelf } from "../../workspace/project/home-folders.ts";
import { type FolderEntry, isUtf8, readFound, resolveLink, walkFolder } from "../../workspace/walk-folder.ts";

/** A skill is text and a few scripts; a folder above this is something else. */
const LIMIT_BYTES = 50 * 1024 * 1024;
const LIMITS = { entries: 10_000, depth: 40 };

/** Sequential writes to a remote sandbox would cost one round trip per file. */
const CONCURRENT_WRITES = 4;

/** Files named in a note; the rest are counted. */
const NAMED_FILES = 20;

/** The folder of a skill inside a sandbox, absolute. */
export const skillFolder = (sandbox: Pick<Sandbox, "home">, name: string): string =>
  posix.join(sandbox.home, "skills", name.replace(/[^A-Za-z0-9._-]/g, "_"));

export interface SkillInstallerDeps {
  /** The skills the host offers now. */
  readonly catalog: () => Promise<Pick<Catalog, "skills">>;
  readonly git: Git;
}

/**
 * Copies the skills a job's task names into its sandbox.
 * @returns sentences for the job's notes that name the files left out
 * @throws Error when a skill's folder cannot be read, is too large, or is a link that leads out of its project
 */
export async function installSkills(
  { catalog, git }: SkillInstallerDeps,
  job: Job,
  sandbox: Sandbox,
): Promise<readonly string[]> {
  if (job.task.skills.length === 0) return [];
  const { skills } = await catalog();
  const notes: string[] = [];
  for (const name of job.task.skills) {
    const skill = skills.find((one) => one.name === name);
    if (skill) notes.push(...(await copySkill(skill, sandbox, git)));
    else notes.push(`The skill ${plainName(name)} is no longer offered, so its folder was not copied to this sandbox.`);
  }
  return notes;
}

/**
 * Copies the plain files of a skill's folder into a sandbox, following links that stay inside the folder. Files that
 * git ignores are not copied from a project's skill, as they are not copied from the project itself.
 * @returns sentences that name the files left out
 * @throws Error as `installSkills` does
 */
export async function copySkill(skill: CatalogSkill, sandbox: Sandbox, git: Git): Promise<readonly string[]> {
  const root = await rootOf(skill);
  const target = skillFolder(sandbox, skill.name);
  const { files: found, left } = await filesOf(root, skill.name);
  const ignored = skill.project === null ? new Set() : await ignoredOf(git, root, found, skill.name);
  const files = found.filter(({ from }) => !ignored.has(from));
  for (const { path, from } of found) if (ignored.has(from)) left.push({ path, why: "is ignored by git" });
  const copying = createConcurrencyLimit(CONCURRENT_WRITES);
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
  /** The file to read; differs from `path` when `path` is a link. */
  readonly from: string;
  readonly isExecutable: boolean;
}

interface Left {
  readonly path: string;
  readonly why: string;
}

/** @throws Error when the skill's folder is a home directory, the whole project, or a link out of its project */
async function rootOf({ name, folder, project }: CatalogSkill): Promise<string> {
  const root = await realPathOrSelf(folder);
  if (isHome(root, await readHomes())) throw new Error(`the folder of skill ${plainName(name)} is a home directory`);
  if (project === null) return root;
  const top = await realPathOrSelf(project);
  // Copying it would copy the whole project, ignored files included.
  if (root === top)
    throw new Error(`the folder of skill ${plainName(name)} is the whole project ${project}; give it its own`);
  for (const real of [root, await realPathOrSelf(join(folder, "SKILL.md"))])
    if (!isWithin(real, top))
      throw new Error(`skill ${plainName(name)} is a link that leads out of its project ${project}`);
  return root;
}

async function filesOf(root: string, name: string): Promise<{ files: SkillFile[]; left: Left[] }> {
  const [files, left, links]: [SkillFile[], Left[], string[]] = [[], [], []];
  const found = new Map<string, FileEntry>();
  let total = 0;
  const add = (path: string, { path: from, bytes, isExecutable }: FileEntry) => {
    total += bytes; // also for a link: its target is written once per name
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
 * Files of the skill that git ignores. None when SKILL.md itself is ignored: then the user keeps the whole skill out of
 * the repository, and git's answer says nothing about its single files.
 * @throws Error when the folder is in a repository and git cannot list what is ignored there
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
    const doing = `could not list the git-ignored files of skill ${plainName(name)}, which must not be copied`;
    throw new Error(`${doing} (${error.message})`, { cause: error });
  });
  return ignored.includes("SKILL.md") ? new Set() : new Set(ignored);
}

/** Checked on disk, because git reports a missing and an unreadable repository alike. */
function isInRepository(folder: string): boolean {
  if (lstatSync(join(folder, ".git"), { throwIfNoEntry: false })) return true;
  const above = dirname(folder);
  return above !== folder && isInRepository(above);
}

function toNote(name: string, left: readonly Left[]): string {
  const named = left.slice(0, NAMED_FILES).map(({ path, why }) => `${plainName(toText(path))} (it ${why})`);
  const more = left.length > NAMED_FILES ? ` and ${left.length - NAMED_FILES} more` : "";
  return `Of skill ${plainName(name)} these were left out: ${named.join(", ")}${more}.`;
}
