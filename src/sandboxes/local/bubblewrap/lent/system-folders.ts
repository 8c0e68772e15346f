import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { isWithin } from "../../../../config/host-paths.ts";
import { PluginError } from "../../../../shared/error-code.ts";
import type { LentPath } from "../../../lent-paths.ts";
import { closedIn } from "./closed-paths.ts";
import { type Places, privatePlaces } from "./private-places.ts";
import { excludeHidden, type VisiblePaths } from "./visible-paths.ts";

/** The system's folders as a sandbox gets them: its programs and libraries, without what is private in them (H5) or closed. */
export interface SystemFolders {
  readonly programs: VisiblePaths;
  /** Paths that a sandbox must not get with another of the system's folders either. */
  readonly hidden: readonly string[];
  /** What of the system's folders is not lent, each path with its reason. */
  readonly refused: readonly LentPath[];
}

const PROGRAMS = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];
/** Where an administrator puts what no package manager knows; what packages install is for everybody to read. */
const OF_ADMINISTRATOR = ["/usr/local/bin", "/usr/local/etc", "/usr/local/sbin"];
/** Without these a sandbox's programs do not run, or are not found. */
const NEEDED = [...PROGRAMS, "bin", "sbin", "lib", "lib64", "share", "local/bin", "local/sbin", "local/lib"].map(
  (name) => (name.startsWith("/") ? name : `/usr/${name}`),
);

export const programFolders = (): string[] =>
  PROGRAMS.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory());

/** @throws PluginError `isolation_unavailable` where what is private cannot be left out */
export function readSystemFolders(places: Places): SystemFolders {
  const folders = programFolders();
  const own = privatePlaces(places).filter(({ path }) => folders.some((folder) => isWithin(path, folder)));
  for (const place of own) {
    const needed = NEEDED.find((path) => existsSync(path) && isWithin(path, place.path));
    if (needed !== undefined) throw unavailable(place, `it holds ${needed}, which every sandbox needs`);
  }
  const closed = OF_ADMINISTRATOR.flatMap(closedIn);
  const hidden = [...privatePlaces(places).map(({ path }) => path), ...closed];
  const { binds, links, tooLarge } = excludeHidden(folders, hidden);
  for (const place of own) {
    const full = tooLarge.find((folder) => isWithin(place.path, folder));
    if (full !== undefined) throw unavailable(place, `it lies among too many other files of ${full}`);
  }
  const merged = PROGRAMS.filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink());
  const programs = {
    binds,
    links: [...merged.map((at) => ({ at, to: readlinkSync(at) })), ...links],
    tooLarge,
  };
  const refused = [
    ...own,
    ...tooLarge.map((path) => ({
      path,
      why: "not everybody may read all of it, and it has too many files to lend the others one by one",
    })),
    ...closed.map((path) => ({ path, why: "not everybody may read it" })),
  ];
  return { programs, hidden, refused };
}

function unavailable({ path, why }: LentPath, problem: string): PluginError {
  const message = `Jobs may not see ${path}, because ${why}, and it cannot be left out of what they see of the system, because ${problem}. Move it out of the system's folders, or open OpenCode in another folder.`;
  return new PluginError("isolation_unavailable", message, { retryable: false });
}
