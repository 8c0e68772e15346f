import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { LabArchive } from "../lab/lab.ts";
import { openLab } from "../lab/open-lab.ts";
import { systemClock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { createGit } from "../workspace/git.ts";
import { projectID } from "../workspace/project/project-id.ts";
import { loadCliOptions } from "./cli-options.ts";

/**
 * The lab of the user's state directory. Somebody must close it.
 * @param isToBe whether there may be no such directory yet, though the user named it
 * @throws PluginError `config_invalid`, also where the directory cannot be read: it would look as if there were no sessions
 */
export async function labOf(stateDir: string | null, isToBe = false): Promise<LabArchive> {
  const options = await loadCliOptions(stateDir);
  const sessions = join(options.stateDir, "sessions");
  try {
    readdirSync(sessions);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isNew = code === "ENOENT" && (stateDir === null || isToBe || existsSync(options.stateDir));
    if (!isNew)
      throw new PluginError(
        "config_invalid",
        `Could not read the sessions in the state directory ${options.stateDir}: ${message}. Name another with --state-dir.`,
        { cause: error, retryable: false },
      );
  }
  return openLab({ stateDir: options.stateDir, clock: systemClock });
}

/** Names the project of a folder, as sessions are recorded with it. @param directory absolute */
export const projectOf = (directory: string, lab: Pick<LabArchive, "sessions">): Promise<string> =>
  projectID(createGit(systemClock, process.env), directory, (project) => lab.sessions(project).length > 0);

/** The project of the folder that this was started in; null where that cannot be read, or does not exist any more. */
export async function projectHere(lab: Pick<LabArchive, "sessions">): Promise<string | null> {
  try {
    return await projectOf(process.cwd(), lab);
  } catch {
    return null;
  }
}
