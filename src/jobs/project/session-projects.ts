import type { Log } from "../../shared/log.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { PoolStore } from "../store/pool-store.ts";

/**
 * Which project a session belongs to. Sessions of one project share experiments and snapshots; a session whose project
 * is not known shares nothing.
 */
export interface SessionProjects {
  /** Records that the session, whose first jobs are about to be recorded, belongs to the project that the host is open in. */
  join(orchestrator: string): void;
  /** The project of a session's jobs; null = it is not known. */
  of(orchestrator: string): string | null;
  /** The same for a session that is in use here: before its first job is recorded, the project that the host is open in. */
  here(orchestrator: string): string | null;
  /** Sessions whose jobs belong to a project. */
  sessionsOf(project: string): string[];
  /** Of a deleted session. */
  forget(orchestrator: string): void;
  /** Resolves once the project that the host is open in is known, which is before its sessions have jobs. Never rejects. */
  known(): Promise<void>;
}

export interface SessionProjectsDeps {
  readonly registry: Pick<SessionRegistry, "onChange" | "onOpen">;
  readonly pool: Pick<PoolStore, "saveProject" | "projectOf" | "sessionsOf" | "forgetProject">;
  /** The project that the host is open in; null = there is none. */
  readonly identify: () => Promise<string | null>;
  readonly log: Log;
}

/** Records the project of every session with its first job. */
export function createSessionProjects({ registry, pool, identify, log }: SessionProjectsDeps): SessionProjects {
  let current: string | null = null;
  let identifying: Promise<void> | null = null;
  const recorded = new Set<string>();

  function join(orchestrator: string): void {
    if (current === null || recorded.has(orchestrator)) return;
    pool.saveProject(orchestrator, current);
    recorded.add(orchestrator);
  }

  registry.onChange(({ sessionJobs }) => join(sessionJobs.orchestrator));
  // Jobs of an earlier version, or of a process that died before it had recorded the project.
  registry.onOpen((sessionJobs) => sessionJobs.all().length > 0 && join(sessionJobs.orchestrator));

  return {
    join,
    of: (orchestrator) => pool.projectOf(orchestrator),
    here: (orchestrator) => pool.projectOf(orchestrator) ?? current,
    sessionsOf: (project) => pool.sessionsOf(project),
    forget(orchestrator) {
      recorded.delete(orchestrator);
      pool.forgetProject(orchestrator);
    },
    known() {
      identifying ??= identify().then(
        (project) => {
          current = project;
        },
        (error) =>
          log("warn", "could not tell which project this is; its sessions share nothing", { reason: String(error) }),
      );
      return identifying;
    },
  };
}
