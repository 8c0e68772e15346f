import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { isBelow } from "./volumes.ts";

const linkOf = (path: string): Promise<string> => readlink(path).catch(() => "");

/**
 * Where processes of the sandbox of process `pid` keep a file of one of the folders open or mapped, or stand in it; null for
 * nowhere.
 */
export async function findOpen(pid: number, folders: readonly string[]): Promise<string | null> {
  const isMeant = (path: string) => folders.some((folder) => isBelow(path, folder));
  const sandbox = await linkOf(`/proc/${pid}/ns/mnt`);
  for (const each of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const process_ = join("/proc", each);
    if ((await linkOf(join(process_, "ns/mnt"))) !== sandbox) continue;
    const open = (await readdir(join(process_, "fd")).catch(() => [])).map((fd) => join(process_, "fd", fd));
    const links = await Promise.all([join(process_, "cwd"), join(process_, "exe"), ...open].map(linkOf));
    const maps = await readFile(join(process_, "maps"), "utf8").catch(() => "");
    const mapped = maps.split("\n").map((line) => line.slice(Math.max(line.indexOf("/"), 0)));
    const found = [...links, ...mapped].find(isMeant);
    if (found !== undefined) return found;
  }
  return null;
}
