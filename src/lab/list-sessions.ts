import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LabSession } from "./lab.ts";

const SESSION_FILE = /^([A-Za-z0-9_-]{1,128})\.db$/;

/** The sessions that have a file, the newest first. Never throws: what is gone meanwhile is left out. */
export function listSessions(stateDir: string, projectOf: (session: string) => string | null): LabSession[] {
  return namesIn(join(stateDir, "sessions"))
    .flatMap((name) => {
      const id = SESSION_FILE.exec(name)?.[1];
      const changedAt = id === undefined ? null : changedAtOf(join(stateDir, "sessions", name));
      return id === undefined || changedAt === null ? [] : [{ id, project: projectOf(id), changedAt }];
    })
    .sort((a, b) => b.changedAt - a.changedAt);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // nothing was started yet
  }
}

/** Changes are in the log beside the file first. */
function changedAtOf(file: string): number | null {
  try {
    const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
    return Math.max(statSync(file).mtimeMs, log && log.size > 0 ? log.mtimeMs : 0);
  } catch {
    return null;
  }
}
