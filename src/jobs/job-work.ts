import { LabError } from "../shared/error-code.ts";
import { type Built, buildCommits } from "../workspace/build-commits.ts";
import type { TreeBase } from "../workspace/capture-tree.ts";
import { gatherWork, readWork, type Work } from "../workspace/gather-work.ts";
import type { ProjectStore } from "../workspace/project-store.ts";
import { identityOf } from "../workspace/send-tree.ts";
import type { Job } from "./job.ts";
import type { JobBook } from "./job-book.ts";
import type { Lab } from "./lab.ts";
import { type FilesSource, reachFiles } from "./reach-files.ts";

/** A job whose changes can be told: what it started from is known. */
export interface BasedJob {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  readonly jobID: string;
}

/** @throws LabError `collect_failed` */
export async function requireBase(lab: Lab, job: Job): Promise<Pick<BasedJob, "store" | "base">> {
  const store = await lab.trees.store();
  const { base } = job;
  if (store && base?.project === store.root) return { store, base };
  const isEarly = !base && (job.sandbox.kind === "none" || job.sandbox.kind === "creating");
  const why = base
    ? `it started from the project ${base.project}; collect it from there`
    : isEarly
      ? "it has no sandbox yet"
      : 'it did not start from a project\'s files, so there is no base to tell changes by; take its files with mode "files"';
  throw new LabError("collect_failed", `Could not collect the changes of ${job.id}: ${why}.`, { retryable: isEarly });
}

/**
 * Out of the sandbox while it lives; else as it was when the sandbox was given up, or in its newest snapshot.
 * @throws LabError `collect_failed`, and what making a sandbox may throw
 */
export function currentWork(
  lab: Lab,
  book: JobBook,
  { store, base, jobID }: BasedJob,
): Promise<{ readonly work: Work; readonly source: FilesSource }> {
  return reachFiles(lab, book, jobID, {
    async kept() {
      const work = await readWork(store, jobID);
      return work && { work, source: { kind: "sandbox" } };
    },
    async use(sandbox, source) {
      const work = await gatherWork({ store, base, jobID, sandbox, clock: lab.clock, nonce: lab.ids("work") });
      return { work, source };
    },
  });
}

export async function buildWork(lab: Lab, { store, base, jobID }: BasedJob, work: Work): Promise<Built> {
  const identity = await identityOf(store);
  return buildCommits({ store, base, work, jobID, nonce: lab.ids("build"), identity });
}
