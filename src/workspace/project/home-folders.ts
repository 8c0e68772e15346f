import { readFile, realpath } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { dirname, sep } from "node:path";

/** Home directories of this machine, links resolved. */
export interface Homes {
  /** The user's, according to the environment and according to the system. */
  readonly own: readonly string[];
  readonly others: readonly string[];
}

/** Whether an account is a person's or root's. The home of a service account may well be a project. */
const isPerson = (uid: number): boolean => uid === 0 || (uid >= 1000 && uid < 65_534);

export async function readHomes(): Promise<Homes> {
  const passwd = await readFile("/etc/passwd", "utf8").catch(() => "");
  const others = passwd.split("\n").flatMap((line) => {
    const [, , uid = "", , , home = ""] = line.split(":");
    return /^\d+$/.test(uid) && isPerson(Number(uid)) && home.startsWith("/") ? [home] : [];
  });
  return {
    own: await Promise.all([homedir(), systemHome()].map(realPathOrSelf)),
    others: await Promise.all(others.map(realPathOrSelf)),
  };
}

/**
 * Whether a folder is too wide to be a project: the root of the file system, a home directory, or a folder that contains
 * the user's home.
 * @param folder absolute, links resolved
 */
export const isHome = (folder: string, { own, others }: Homes): boolean =>
  dirname(folder) === folder ||
  HOMES_PARENT.test(dirname(folder)) ||
  [...own, ...others].includes(folder) ||
  own.some((home) => home.startsWith(`${folder}${sep}`));

/** Parent of home directories that `/etc/passwd` does not list: on macOS, and of Windows under WSL. */
const HOMES_PARENT = /^(\/mnt\/[a-z])?\/Users$/;

/** The path with links resolved; unchanged where that fails. */
export const realPathOrSelf = (path: string): Promise<string> => realpath(path).catch(() => path);

function systemHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    return homedir(); // a user without an entry in /etc/passwd, as in containers
  }
}
