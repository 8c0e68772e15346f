import type { Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import { describeMachine } from "../../core/machine-pool.ts";
import { GPU_OF_RUNS } from "../../core/nested-runs.ts";
import type { Catalog } from "../../core/ports.ts";
import type { Runtime } from "../../jobs/runtime.ts";
import { skillFolder } from "../../jobs/sandbox/install-skills.ts";
import { renderOrchestratorBlock, renderUnusableOptions } from "../../prompt/orchestrator-block.ts";
import { REMOVED_TEXT_NOTE } from "../../prompt/start-notes.ts";
import { renderMissingJob, renderWorkerBlock } from "../../prompt/worker-block.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import type { Log } from "../../shared/log.ts";
import { isIsolated } from "../../views/location.ts";
import type { JobMark } from "./job-sessions.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** System texts of this plugin. */
export interface SystemTexts {
  /** The whole system text of a job's session, in place of the host's. */
  forJob(mark: JobMark): Promise<string>;
  /** Another plugin had removed the text of a job's session from a request. It was put back; never rejects. */
  onRemoved(mark: JobMark): void;
  /** What an agent that may delegate is told besides the host's text. */
  forOrchestrator(): Promise<string>;
}

export function createSystemTexts(access: RuntimeAccess, catalog: () => Promise<Catalog>, log: Log): SystemTexts {
  return {
    forJob,
    forOrchestrator,
    onRemoved({ job: jobID, orchestrator }) {
      noteRemoval(jobID, orchestrator).catch((error) =>
        log("error", "could not note that another plugin removed a job's instructions", {
          jobID,
          reason: String(error),
        }),
      );
    },
  };

  async function noteRemoval(jobID: string, orchestrator: string): Promise<void> {
    const sessionJobs = await (await access.runtime()).sessionJobs(orchestrator);
    if (!sessionJobs.get(jobID) || sessionJobs.get(jobID)?.notes.includes(REMOVED_TEXT_NOTE)) return;
    log("warn", "another plugin removes the instructions of jobs from the system text", { jobID });
    sessionJobs.update(jobID, (job) => withNotes(job, [REMOVED_TEXT_NOTE]));
  }

  async function forJob({ job: jobID, orchestrator }: JobMark): Promise<string> {
    const runtime = await access.runtime();
    await runtime.runner.atRest(jobID); // a job that is being stopped asks its model nothing more
    const job = (await runtime.sessionJobs(orchestrator)).get(jobID);
    if (!job) return renderMissingJob(jobID);
    const { agents, skills } = await catalog();
    const sandbox = runtime.lifecycle.live(jobID);
    const home = job.briefing?.home ?? sandbox?.home ?? "~";
    const hasProject = job.briefing?.hasProject ?? job.base !== null;
    return renderWorkerBlock({
      job,
      isIsolated: isIsolated(job.provider, runtime.options.local),
      briefing: job.briefing && { ...job.briefing, notes: job.briefing.notes.slice(0, job.briefing.inText) },
      hasProject,
      hasGpus: await hasGpus(runtime, job),
      hasSandbox: sandbox !== null || job.state.kind === "starting",
      openFolder: hasProject ? await runtime.trees.openFolder() : "",
      skills: job.task.skills.flatMap((wanted) =>
        skills
          .filter(({ name }) => name === wanted)
          .map(({ name, content, folder: hostFolder }) => ({
            name,
            content,
            hostFolder,
            folder: skillFolder({ home }, name),
          })),
      ),
      agentPrompt: agents.find(({ name }) => name === job.task.agent)?.prompt ?? null,
    });
  }

  async function forOrchestrator(): Promise<string> {
    const loaded = await access.options();
    if (loaded.kind === "invalid") return renderUnusableOptions(loaded.message);
    const { maxRunningJobs, maxTasksPerCall, maxRunsPerCall, environments, benchmarks, gpuLimits } = loaded.options;
    const provider = chooseProvider(loaded.options, process.env).name;
    return renderOrchestratorBlock({
      maxRunningJobs,
      maxTasksPerCall,
      maxRunsPerCall,
      benchmarks: Object.keys(benchmarks),
      gpuLimits,
      environments: Object.keys(environments),
      emptyEnvironments: Object.keys(environments).filter((name) => environments[name]?.workspace === "empty"),
      provider,
      machineGpus: provider === "local" ? describeMachine((await access.machineGpus()).gpus) : "",
      isIsolated: isIsolated(provider, loaded.options.local),
    });
  }
}

/** Whether commands of the job can be given GPUs. The answer never changes, because the system text that it is in must not. */
async function hasGpus({ options, machineGpus }: Runtime, { provider, task }: Job): Promise<boolean> {
  if (task.forbidden.includes(GPU_OF_RUNS) || task.forbidden.includes("sandbox_exec") || options.gpuLimits.total === 0)
    return false;
  return provider === "modal" || (await machineGpus.read()).gpus.length > 0;
}
