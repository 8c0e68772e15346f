import type { Job } from "../../core/job.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import type { StepListener } from "../../sandboxes/creation-steps.ts";
import type { SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { Person } from "../../workspace/project/identity.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import type { Environments } from "../environments/environments.ts";
import type { PreparedTree } from "../store/snapshot-store.ts";
import type { PreparedTrees } from "./prepared-trees.ts";

export interface StartingRequest {
  readonly job: Job;
  /** The project's files that it starts with; null = none. */
  readonly tree: { readonly project: ProjectStore; readonly base: TreeBase; readonly identity: Person } | null;
  readonly provider: SandboxProvider;
  /** Adds what a sandbox costs that exists for so long to what the job has cost. @returns USD */
  readonly charge: (ms: number) => number;
  /** What it adds for an hour. */
  readonly usdPerHour: number;
  readonly signal: AbortSignal;
  readonly onStep: StepListener | undefined;
}

export interface StartingSnapshot {
  /** null = the bare environment. */
  readonly snapshotID: string | null;
  /** The project's files in it; null = there are none. */
  readonly prepared: PreparedTree | null;
  /** What the job should know of it, one sentence each. */
  readonly notes: readonly string[];
}

/** Errors of a preparation against which a new image of the environment may help. */
const IMAGE_GONE: ReadonlySet<string> = new Set(["not_found", "snapshot_expired", "workspace_failed"]);

const NO_GIT_NOTE =
  'Its image has no git: the project\'s files are there without a repository, and are collected with mode "files" and paths only.';

/**
 * What a job's sandbox starts from: its environment's image, with the project's files as the job takes them.
 * @throws PluginError what a build or a preparation throws
 */
export async function prepareStart(
  { images, prepared }: { readonly images: Pick<Environments, "get" | "forget">; readonly prepared: PreparedTrees },
  request: StartingRequest,
): Promise<StartingSnapshot> {
  const { tree, signal } = request;
  for (let isAgain = false; ; isAgain = true) {
    const image = await images.get(request);
    const notes = image?.notes ?? [];
    if (!tree) return { snapshotID: image?.snapshotID ?? null, prepared: null, notes };
    try {
      // Several jobs may wait for one preparation: a job that stops waiting must not stop it.
      const preparing = prepared.get({ ...request, ...tree, image });
      const made = await unlessAborted(preparing, signal, "its files were in place");
      const all = made.form === "files" ? [...notes, NO_GIT_NOTE] : notes;
      return { snapshotID: made.snapshotID, prepared: made, notes: all };
    } catch (error) {
      if (image === null || isAgain || !(error instanceof PluginError) || !IMAGE_GONE.has(error.code)) throw error;
      images.forget(image.snapshotID);
    }
  }
}
