import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Driver } from "../jobs/store/driver.ts";
import { anyRow } from "../jobs/store/rows.ts";
import { SESSION_VERSION, sessionFile } from "../jobs/store/session-store.ts";
import { openStateFile } from "../jobs/store/state-file.ts";
import type { LabSession } from "./lab.ts";

const SESSION_FILE = /^([A-Za-z0-9_-]{1,128})\.db$/;

/**
 * Lists the sessions that had jobs, the newest first: the host makes a file for every session that only asked for them too.
 * One whose file cannot be read is listed, so that somebody hears why. Never throws: what is gone meanwhile is left out.
 */
export function createSessionList(
  driver: Driver,
  stateDir: string,
  projectOf: (session: string) => string | null,
): (project: string | null) => LabSession[] {
  /** Jobs are never removed from a file. */
  const withJobs = new Set<string>();
  /** When it had none. */
  const withoutJobs = new Map<string, number>();

  function hasJobs(id: string, changedAt: number): boolean {
    if (withJobs.has(id)) return true;
    if (withoutJobs.get(id) === changedAt) return false;
    const file = openStateFile(driver, sessionFile(stateDir, id), SESSION_VERSION);
    try {
      const found = file.read((rows) => rows.get(anyRow, "SELECT 1 FROM jobs LIMIT 1") !== undefined);
      if (found === true) withJobs.add(id);
      else withoutJobs.set(id, changedAt);
      return found === true;
    } catch {
      return true;
    } finally {
      file.close();
    }
  }

  return (project) =>
    namesIn(join(stateDir, "sessions"))
      .flatMap((name) => {
        const id = SESSION_FILE.exec(name)?.[1];
        const changedAt = id === undefined ? null : changedAtOf(join(stateDir, "sessions", name));
        return id === undefined || changedAt === null ? [] : [{ id, project: projectOf(id), changedAt }];
      })
      .filter((session) => project === null || session.project === project)
      .filter(({ id, changedAt }) => hasJobs(id, changedAt))
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
