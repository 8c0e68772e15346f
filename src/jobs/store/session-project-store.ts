import { z } from "zod";
import type { Database } from "./database.ts";
import type { RowReader } from "./rows.ts";

/** Which project each session's jobs belong to. */
export interface SessionProjectStore {
  /** Records the project of a session; the first one counts. */
  saveProject(orchestrator: string, projectID: string): void;
  /** null = it is not known. */
  projectOf(orchestrator: string): string | null;
  sessionsOf(projectID: string): string[];
  forgetProject(orchestrator: string): void;
}

export const SESSION_PROJECT_TABLE = "session_projects (orchestrator TEXT PRIMARY KEY, project TEXT NOT NULL)";

const orchestratorRow = z.object({ orchestrator: z.string() });
const projectRow = z.object({ project: z.string() });

export function checkSessionProjectRows(rows: RowReader): void {
  rows.all(projectRow, "SELECT orchestrator, project FROM session_projects");
}

export const createSessionProjectStore = (database: Database): SessionProjectStore => ({
  saveProject: (orchestrator, projectID) =>
    database.run(
      "INSERT OR IGNORE INTO session_projects (orchestrator, project) VALUES (?, ?)",
      orchestrator,
      projectID,
    ),
  projectOf: (orchestrator) =>
    database.get(projectRow, "SELECT project FROM session_projects WHERE orchestrator = ?", orchestrator)?.project ??
    null,
  sessionsOf: (projectID) =>
    database
      .all(orchestratorRow, "SELECT orchestrator FROM session_projects WHERE project = ?", projectID)
      .map(({ orchestrator }) => orchestrator),
  forgetProject: (orchestrator) => database.run("DELETE FROM session_projects WHERE orchestrator = ?", orchestrator),
});
