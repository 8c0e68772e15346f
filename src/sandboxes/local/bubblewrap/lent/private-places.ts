import { basename, dirname, sep } from "node:path";
import { isWithin } from "../../../../config/host-paths.ts";
import type { LentPath } from "../../../lent-paths.ts";

/*
 * What is never lent. H1: neither the home directory nor a parent of it, no path that contains or lies in the state
 * directory or OpenCode's own directories, and no place known for credentials. H5: where one of these or the project lies
 * below a system folder, as in many containers, the sandbox gets that folder without it.
 */

export interface Places {
  /** Real paths, absolute. */
  readonly home: string;
  /** The state directory and OpenCode's own paths. Never lent, nor is any path that contains one of them or lies inside one. */
  readonly neverLent: readonly string[];
  /** The project; null when there is none. */
  readonly project: string | null;
  /** Paths at which the sandbox has directories of its own. */
  readonly inside: readonly string[];
}

const CREDENTIALS = new Set([
  ".ssh", ".aws", ".azure", ".boto", ".claude", ".codex", ".condarc", ".config", ".databrickscfg", ".docker", ".gcloud", ".gemini",
  ".git", ".git-credentials", ".gnupg", ".kaggle", ".kube", ".modal.toml", ".mozilla", ".my.cnf", ".netrc", ".npmrc",
  ".oci", ".password-store", ".pgpass", ".pki", ".pypirc", ".s3cfg", ".secrets", ".terraform.d", ".thunderbird",
  ".vault", ".vault-token", ".wandb", "client_secret.json", "credentials.json", "credentials.toml", "id_dsa", "id_ecdsa",
  "id_ed25519", "id_rsa", "pip.conf", "secrets",
]); // biome-ignore format: a table
/** Folders of programs, which every sandbox gets. */
const PROGRAMS = /^\/(?:bin|lib|lib32|lib64|libx32|sbin|usr)(?:\/|$)/;
/** The sandbox has its own version of these, or they contain sockets of this machine's programs. */
const SYSTEM = /^\/(?:boot|dev|etc|proc|run|sys|tmp|var\/(?:log|mail|spool|tmp))(?:\/|$)/;
/** Removable disks, and the default work directory of sandboxes. */
const UNSTABLE = /^\/(?:media|mnt|snap|workspace)(?:\/|$)/;

/** Whether a file or folder of this name holds credentials, wherever it is. */
export const isCredential = (name: string): boolean => CREDENTIALS.has(name) || /^\.env(?:\.|rc$|$)/.test(name);

/** The user's own places, wherever they lie. Beside a home in a folder of that name are the homes of others. */
export function privatePlaces({ home, neverLent, project }: Places): LentPath[] {
  const homes = basename(dirname(home)) === "home" ? dirname(home) : home;
  return [
    { path: homes, why: homes === home ? "it is the home directory" : "it holds the home directory" },
    ...neverLent.map((path) => ({ path, why: "OpenCode keeps its own files there" })),
    ...(project === null ? [] : [{ path: project, why: "it is the project" }]),
  ].filter(({ path }) => path !== sep); // a container's user without a home, say: then no folder is private for it
}

export const isPrivate = (path: string, places: Places): boolean =>
  privatePlaces(places).some((place) => isWithin(path, place.path));

/** Whether every sandbox has it, because it belongs to the system's programs and not to the user. */
export const isSystemProgram = (path: string, places: Places): boolean =>
  PROGRAMS.test(path) && !isPrivate(path, places);

/** Why a path is not lent even if the user names it; null when it may be lent. */
export function whyNever(path: string, places: Places): string | null {
  const { home, neverLent, inside } = places;
  if (path === sep) return "it is the whole file system";
  if (isWithin(home, path)) return path === home ? "it is the home directory" : "it holds the home directory";
  const own = neverLent.find((each) => isWithin(each, path) || isWithin(path, each));
  if (own !== undefined)
    return isWithin(path, own) ? "OpenCode keeps its own files there" : "it holds OpenCode's own files";
  if (SYSTEM.test(path) || isSystemProgram(path, places)) return "sandboxes have their own there";
  if (inside.some((own) => isWithin(own, path) || isWithin(path, own))) return "sandboxes have their own there";
  return null;
}

/** Why a path is not lent just because it is on PATH; null when it may be lent. */
export function whyNotLent(path: string, places: Places): string | null {
  const never = whyNever(path, places);
  if (never !== null) return never;
  if (path.split(sep).some(isCredential)) return "credentials are kept there";
  if (UNSTABLE.test(path)) return "it is not a permanent part of this machine";
  if (path.split(sep).length < 3) return "it is a top-level directory";
  const { home, project } = places;
  if (project !== null && isWithin(project, path)) return "it holds the project";
  // In any user's home: `share` and `etc` there hold that user's data.
  if (["share", "etc"].includes(basename(path)) && isOwnTree(path.slice(0, path.lastIndexOf(sep)), home))
    return "it is all of a user's data";
  return null;
}

/** Whether it is `~` or `~/.local` of a user: not an installation, whatever was installed there. */
export const isOwnTree = (path: string, home: string): boolean =>
  path === home || path === `${home}/.local` || /^\/(?:home\/[^/]+|root)(?:\/\.local)?$/.test(path);
