import type { Environment } from "../config/environment.ts";

/** What a job starts from in place of its environment's image or a snapshot, by its id at the provider. */
export type TaskSource =
  /** Takes the place of the environment's image: the project's files are put into it. */
  | { readonly kind: "image"; readonly id: string }
  /**
   * A running sandbox, whose files are frozen when the task is accepted: the job's `snapshotID` names them once that is
   * done. `jobID`: the job of this session that has it; null = the user's own.
   */
  | { readonly kind: "sandbox"; readonly id: string; readonly jobID: string | null }
  /** The newest files of a job of this session that has a sandbox, frozen in the same way. */
  | { readonly kind: "job"; readonly id: string };

/** A task's environment, with the image that the task names in place of its own; undefined = it is not configured. */
export function environmentOf(
  environments: Readonly<Record<string, Environment>>,
  task: { readonly environment: string; readonly source?: TaskSource | undefined },
): Environment | undefined {
  const environment = environments[task.environment];
  if (!environment || task.source?.kind !== "image") return environment;
  return { ...environment, image: task.source.id, imageSecret: null };
}
