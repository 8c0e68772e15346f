import { readFile, realpath } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { dirname, sep } from "node:path";

/** Home directories of this machine, without links in them. */
export interface Homes {
  /** The user's: as his environment has it, and as the system does. */
  readonly own: readonly string[];
  readonly others: readonly string[];
}

/** People, and root: what the system keeps for its services may well be a project. */
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
 * Whether nobody can mean a folder when he says "the project": the whole machine, a home directory, or what holds the
 * user's own.
 * @param folder absolute and without links in it
 */
export const isHome = (folder: string, { own, others }: Homes): boolean =>
  dirname(folder) === folder ||
  HOMES.test(dirname(folder)) ||
  [...own, ...others].includes(folder) ||
  own.some((home) => home.startsWith(`${folder}${sep}`));

/** Where those are kept that `/etc/passwd` does not list: macOS, and Windows as its Linux sees it. */
const HOMES = /^(\/mnt\/[a-z])?\/Users$/;

export const realPathOrSelf = (path: string): Promise<string> => realpath(path).catch(() => path);

function systemHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    return homedir(); // a user without an entry, as in containers
  }
}
