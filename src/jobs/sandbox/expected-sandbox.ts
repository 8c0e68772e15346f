import type { Environment } from "../../config/environment.ts";
import type { BriefedSandbox } from "../../core/briefing.ts";
import type { Job } from "../../core/job.ts";
import { environmentOf } from "../../core/task-source.ts";
import type { SandboxProvider } from "../../sandboxes/port.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import { type CreationDeps, environmentNotesOf } from "./creation.ts";

/** What an agent can be told of its sandbox before that is there. */
export interface ExpectedSandbox extends BriefedSandbox {
  readonly hasProject: boolean;
}

export interface ExpectedSandboxDeps extends Pick<CreationDeps, "environments" | "hostEnv"> {
  readonly trees: Pick<ProjectTrees, "hasProject">;
}

/** @returns null where only the sandbox itself will tell */
export async function expectedSandbox(
  deps: ExpectedSandboxDeps,
  sessionJobs: SessionJobs,
  provider: Pick<SandboxProvider, "place">,
  job: Job,
): Promise<ExpectedSandbox | null> {
  const environment = environmentOf(deps.environments, job.task);
  if (!environment || !provider.place || hasMounts(environment)) return null;
  // One that is revived is where it was.
  const place = job.briefing ?? provider.place(environment.workdir);
  if (place.home === null && job.task.skills.length > 0) return null; // the system text names their folders
  const hasProject = await deps.trees.hasProject(sessionJobs, job);
  return { workdir: place.workdir, home: place.home, notes: environmentNotesOf(deps, job), hasProject };
}

/** What an agent plans with, and only the sandbox tells: of which kind its volumes are. */
const hasMounts = ({ volumes, buckets }: Environment): boolean =>
  Object.keys(volumes).length + Object.keys(buckets).length > 0;
