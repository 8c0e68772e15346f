import { homedir } from "node:os";
import { basename, isAbsolute, join, relative, sep } from "node:path";
import { hostFiles } from "../../config/host-files.ts";
import { isWithin } from "../../config/host-paths.ts";
import type { Instruction } from "../../core/job.ts";
import type { InstructionFiles } from "../../tools/define-tool.ts";
import { fromText } from "../../workspace/paths.ts";
import { isHome, readHomes, realPathOrSelf } from "../../workspace/project/home-folders.ts";
import { readFound } from "../../workspace/walk-folder.ts";
import { foldersUp, matchPattern } from "./instruction-patterns.ts";
import { isAddress, readAddress } from "./instruction-urls.ts";

/*
 * The files that OpenCode gives every agent as instructions, for jobs. They are found as OpenCode finds them, but a
 * repository is not the user: what comes with the project is read only where the project's own files are, and no file of
 * the project, link or configuration leads to another file of this machine.
 */

type Env = Readonly<Record<string, string | undefined>>;

export interface InstructionPlaces {
  /** The folder that is open, absolute. */
  readonly directory: string;
  /** Root of the repository; "/" where there is none. */
  readonly worktree: string;
  /** OpenCode's folder of the user's configuration. */
  readonly configFolder: string;
  /** The configured `instructions`: of all layers, and those of the user's own. */
  readonly configured: readonly string[];
  readonly configuredByUser: readonly string[];
  readonly env: Env;
}

/** Characters of one file, and of all files together. */
const TEXT_LIMIT = 32_000;
const ALL_LIMIT = 48_000;
const READ_LIMIT = 1024 * 1024;

/** A file or address that OpenCode would read. @param isOfUser whether the user named it, not the project */
interface Source {
  readonly path: string;
  readonly isOfUser: boolean;
}

type Left = InstructionFiles["left"][number];

/** @source OpenCode 1.18.33, Instruction.system */
export async function readInstructionFiles(places: InstructionPlaces): Promise<InstructionFiles> {
  const root = await rootOf(places);
  const files: Instruction[] = [];
  const left: Left[] = [];
  const seen = new Set<string>();
  let room = ALL_LIMIT;

  function give(name: string, text: string | { readonly why: string }): void {
    if (typeof text !== "string") return void left.push({ name, why: text.why });
    if (text.trim() === "") return;
    const most = Math.min(TEXT_LIMIT, room);
    const given = text.slice(0, most);
    if (given.length < text.length)
      left.push({ name, why: `was cut after ${given.length} of ${text.length} characters` });
    room -= given.length;
    if (given !== "") files.push({ name, text: given });
  }

  for (const source of await findFiles(places, root)) {
    const real = await realPathOrSelf(source.path);
    if (seen.has(real)) continue;
    seen.add(real);
    give(nameOf(source.path, root), await readSource(source, real, root));
  }
  for (const address of places.configured.filter(isAddress))
    give(...(await readAddress(address, places.configuredByUser.includes(address))));
  return { files, left };
}

/** The project's folder with links resolved; the open folder where the repository is a whole home, or there is none. */
async function rootOf({ directory, worktree }: InstructionPlaces): Promise<string> {
  const [open, top, homes] = [await realPathOrSelf(directory), await realPathOrSelf(worktree), await readHomes()];
  return isHome(top, homes) || !isWithin(open, top) ? open : top;
}

async function findFiles(places: InstructionPlaces, root: string): Promise<Source[]> {
  const { directory, worktree, configFolder, configured, configuredByUser, env } = places;
  const [noClaude, noProject] = [
    isSet(env.OPENCODE_DISABLE_CLAUDE_CODE) || isSet(env.OPENCODE_DISABLE_CLAUDE_CODE_PROMPT),
    isSet(env.OPENCODE_DISABLE_PROJECT_CONFIG),
  ];
  const claude = (...paths: string[]) => (noClaude ? [] : paths);
  const found: Source[] = [];
  const add = (path: string, isOfUser: boolean) => found.push({ path, isOfUser });

  const global = [join(configFolder, "AGENTS.md"), ...claude(join(homedir(), ".claude", "CLAUDE.md"))];
  for (const path of await existing(global, 1)) add(path, true);
  const folders = noProject ? [] : foldersUp(directory, worktree);
  for (const name of noProject ? [] : ["AGENTS.md", ...claude("CLAUDE.md"), "CONTEXT.md"]) {
    const paths = await existing(folders.map((folder) => join(folder, name)));
    for (const path of paths) add(path, isAbove(path, root));
    if (paths.length > 0) break;
  }
  for (const entry of configured.filter((one) => !isAddress(one))) {
    const pattern = entry.startsWith("~/") ? join(homedir(), entry.slice(2)) : entry;
    const isOfUser = configuredByUser.includes(entry);
    const from = isAbsolute(pattern) ? ["/"] : noProject ? [configFolder] : folders;
    for (const folder of from) for (const path of await matchPattern(folder, pattern)) add(path, isOfUser);
  }
  return found;
}

/** A file above a project that is no repository: the user's own if it lies in his home. */
const isAbove = (path: string, root: string): boolean => !isWithin(path, root) && isWithin(path, homedir());

async function readSource({ path, isOfUser }: Source, real: string, root: string): Promise<string | { why: string }> {
  if (isWithin(real, root)) {
    const inside = relative(root, real);
    if (inside.split(sep).includes(".git")) return { why: "lies among git's own files" };
    const content = await readFound(root, fromText(inside), READ_LIMIT);
    return typeof content === "string" ? { why: content } : toText(content);
  }
  if (!isOfUser) return { why: isWithin(path, root) ? "leads out of the project" : OUTSIDE };
  return await hostFiles.read(real).then(toText, (error: Error) => ({ why: `could not be read (${error.message})` }));
}

/** Continues "it". */
const OUTSIDE = "lies outside the project; name it in your own configuration of OpenCode if jobs should have it";

const toText = (bytes: Uint8Array): string | { why: string } =>
  bytes.includes(0) ? { why: "is not text" } : Buffer.from(bytes).toString("utf8");

/** Nothing of this machine but the file's own name, unless it is the project's. */
const nameOf = (path: string, root: string): string =>
  isWithin(path, root) ? relative(root, path).split(sep).join("/") : `${basename(path)} of the user`;

async function existing(paths: readonly string[], most = paths.length): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) if (found.length < most && (await hostFiles.exists(path))) found.push(path);
  return found;
}

const isSet = (flag: string | undefined): boolean => flag === "1" || flag?.toLowerCase() === "true";
