import type { Environment } from "../config/environment.ts";
import type { ProviderName } from "../config/provider-names.ts";

/** What a job starts from in place of its environment's image or a snapshot, by its id at the provider. */
export type TaskSource =
  /** Takes the place of the environment's image: the project's files are put into it. */
  | { readonly kind: "image"; readonly id: string }
  /**
   * A running sandbox, whose files are frozen when the task is accepted: the job's `snapshotID` names them once that is
   * done. `jobID`: the job of this session that has it; null = the user's own.
   */
  | { readonly kind: "sandbox"; readonly id: string; readonly jobID: string | null };

const IMAGE = /^im-[0-9A-Za-z]+$/;
/** Both of Modal's backends, and this machine's sandboxes. */
const SANDBOX = /^(?:sb-[0-9A-Za-z_-]+|sbx_[0-9A-Za-z_-]+|[0-9A-HJKMNP-TV-Z]{26})$/;

export interface SourceContext {
  readonly provider: ProviderName;
  /** The job of this session that has this sandbox, or was parked with its files since; null = none. */
  readonly ownerOf: (sandboxID: string) => string | null;
  /** Whether an image is a snapshot that is recorded here: one of another session, as this one's are found before. */
  readonly isSnapshot: (imageID: string) => boolean;
}

/** The source that a task's `from` names, if it names no snapshot of the session; null = none. */
export function findSource(from: string, { ownerOf, isSnapshot }: SourceContext): TaskSource | null {
  if (IMAGE.test(from)) return isSnapshot(from) ? null : { kind: "image", id: from };
  const jobID = ownerOf(from);
  // Whether there is such a sandbox, and whether it is another session's, shows when it is frozen: both are told alike.
  return jobID !== null || SANDBOX.test(from) ? { kind: "sandbox", id: from, jobID } : null;
}

/** Why a source cannot be used; null = it can. */
export function findSourceProblem({ kind, id }: TaskSource, { provider }: SourceContext): string | null {
  if (provider !== "local") return null;
  return kind === "image"
    ? `from "${id}" is an image at Modal, but jobs run in local sandboxes here; start from a snapshot, or set up Modal credentials.`
    : `from "${id}" is a sandbox, and jobs in local sandboxes start from snapshots only; take one of its job with sandbox_snapshot.`;
}

/** One answer for sandboxes that have ended, that never existed, and that another session has: nobody is told which. */
export const unknownSandbox = (id: string): string =>
  `from "${id}" names no running sandbox that this session can use; agents_status shows the sandboxes of its jobs, sandbox_snapshot freezes one.`;

/** A task's environment, with the image that the task names in place of its own; undefined = it is not configured. */
export function environmentOf(
  environments: Readonly<Record<string, Environment>>,
  task: { readonly environment: string; readonly source?: TaskSource | undefined },
): Environment | undefined {
  const environment = environments[task.environment];
  if (!environment || task.source?.kind !== "image") return environment;
  return { ...environment, image: task.source.id, imageSecret: null };
}
