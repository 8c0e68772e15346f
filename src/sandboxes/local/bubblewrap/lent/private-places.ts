import { basename, sep } from "node:path";

/*
 * What is never lent. H1: neither the home directory nor a parent of it, nothing that holds or lies in the state
 * directory or OpenCode's own, and no place known for credentials.
 */

export interface Places {
  /** Real paths, absolute. */
  readonly home: string;
  /** The state directory and OpenCode's own: neither they, nor what holds them, nor what lies in them. */
  readonly kept: readonly string[];
  /** The project; null when there is none. */
  readonly project: string | null;
  /** Where the sandbox has directories of its own. */
  readonly inside: readonly string[];
}

const CREDENTIALS = new Set([
  ".ssh", ".aws", ".azure", ".boto", ".claude", ".codex", ".condarc", ".config", ".databrickscfg", ".docker", ".gcloud", ".gemini",
  ".git", ".git-credentials", ".gnupg", ".kaggle", ".kube", ".modal.toml", ".mozilla", ".my.cnf", ".netrc", ".npmrc",
  ".oci", ".password-store", ".pgpass", ".pki", ".pypirc", ".s3cfg", ".secrets", ".terraform.d", ".thunderbird",
  ".vault", ".vault-token", ".wandb", "client_secret.json", "credentials.json", "credentials.toml", "id_dsa", "id_ecdsa",
  "id_ed25519", "id_rsa", "pip.conf", "secrets",
]); // biome-ignore format: a table
/** A sandbox has these itself, or they hold what programs of this machine talk to each other by. */
const OF_THE_SYSTEM =
  /^\/(?:bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys|tmp|usr|var\/(?:log|mail|spool|tmp))(?:\/|$)/;
/** Disks that come and go, and a name that a sandbox's working directory has by default. */
const UNSTEADY = /^\/(?:media|mnt|snap|workspace)(?:\/|$)/;

/** Whether a file or folder of this name holds credentials wherever it lies. */
export const isCredential = (name: string): boolean => CREDENTIALS.has(name) || /^\.env(?:\.|rc$|$)/.test(name);

/** Why no wish of anybody lends a path; null when it may be lent. */
export function whyNever(path: string, { home, kept, inside }: Places): string | null {
  if (path === sep) return "it is the whole file system";
  if (within(home, path)) return path === home ? "it is the home directory" : "it holds the home directory";
  const held = kept.find((each) => within(each, path) || within(path, each));
  if (held !== undefined) return within(path, held) ? "OpenCode keeps its own there" : "it holds what OpenCode keeps";
  if (OF_THE_SYSTEM.test(path)) return "sandboxes have their own there";
  if (inside.some((own) => within(own, path) || within(path, own))) return "sandboxes have their own there";
  return null;
}

/** Why a path is not lent for being on PATH; null when it may be. */
export function whyNotLent(path: string, places: Places): string | null {
  const never = whyNever(path, places);
  if (never !== null) return never;
  if (path.split(sep).some(isCredential)) return "credentials are kept there";
  if (UNSTEADY.test(path)) return "it is no steady part of this machine";
  if (path.split(sep).length < 3) return "it is a whole branch of the file system";
  const { home, project } = places;
  if (project !== null && within(project, path)) return "it holds the project";
  // Each home, whosever: programs there are files of their owner, `share` and `etc` are his data.
  if (["share", "etc"].includes(basename(path)) && isOwnTree(path.slice(0, path.lastIndexOf(sep)), home))
    return "it is all of a user's data";
  return null;
}

/** `~`, `~/.local`: not an installation, whatever was installed there. */
export const isOwnTree = (path: string, home: string): boolean =>
  path === home || path === `${home}/.local` || /^\/(?:home\/[^/]+|root)(?:\/\.local)?$/.test(path);

/** Whether `path` is `folder` or lies in it. */
export const within = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
