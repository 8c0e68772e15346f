import type { LabArchive } from "../lab/lab.ts";
import { openLab } from "../lab/open-lab.ts";
import { systemClock } from "../shared/clock.ts";
import { createGit } from "../workspace/git.ts";
import { projectID } from "../workspace/project/project-id.ts";
import { loadCliOptions } from "./cli-options.ts";

/** The lab of the user's state directory. Somebody must close it. @throws PluginError `config_invalid` */
export async function labOf(stateDir: string | null): Promise<LabArchive> {
  return openLab({ stateDir: (await loadCliOptions(stateDir)).stateDir, clock: systemClock });
}

/** Names the project of a folder, as sessions are recorded with it. @param directory absolute */
export const projectOf = (directory: string): Promise<string> =>
  projectID(createGit(systemClock, process.env), directory);
