import { homedir } from "node:os";
import { join } from "node:path";
import { isWithin } from "../../config/host-paths.ts";
import { type Homes, isHome, readHomes, realPathOrSelf } from "../../workspace/project/home-folders.ts";

/** Folders below a home directory where OpenCode looks for the user's own skills, whatever project is open. */
const OWN = [".config/opencode", ".opencode", ".claude", ".agents"];

/**
 * The project that a skill came with; null when it is the user's own. A repository is not the user: only files of the
 * project itself may be copied from its skills, not the targets of links. A user may keep skills anywhere and link them
 * into the folders where OpenCode looks.
 * @param location path of the SKILL.md as OpenCode found it
 * @param places open project folders, absolute
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
  if (own.some((folder) => isWithin(location, folder))) return null;
  return places.find((place) => isWithin(location, place)) ?? null;
}

/** The open folders that are projects, each also with links resolved, and the home directories they were checked against. */
export async function projectPlaces(folders: readonly string[]): Promise<{ places: readonly string[]; homes: Homes }> {
  const homes = await readHomes();
  const real = await Promise.all(folders.map(realPathOrSelf));
  return { places: [...folders, ...real].filter((_, n) => !isHome(real[n % real.length] as string, homes)), homes };
}
