import type { Catalog } from "../../core/ports.ts";
import { skillFolder } from "../../jobs/sandbox/install-skills.ts";
import { renderOrchestratorBlock, renderUnusableOptions } from "../../prompt/orchestrator-block.ts";
import { renderMissingJob, renderWorkerBlock } from "../../prompt/worker-block.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import { isIsolated } from "../../views/location.ts";
import type { JobMark } from "./job-sessions.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** System texts of this plugin. */
export interface SystemTexts {
  /** The whole system text of a job's session, in place of the host's. */
  forJob(mark: JobMark): Promise<string>;
  /** What an agent that may delegate is told besides the host's text. */
  forOrchestrator(): Promise<string>;
}

export function createSystemTexts(access: RuntimeAccess, catalog: () => Promise<Catalog>): SystemTexts {
  return { forJob, forOrchestrator };

  async function forJob({ job: jobID, orchestrator }: JobMark): Promise<string> {
    const runtime = await access.runtime();
    const job = (await runtime.sessionJobs(orchestrator)).get(jobID);
    if (!job) return renderMissingJob(jobID);
    const { agents, skills } = await catalog();
    const sandbox = runtime.lifecycle.live(jobID);
    return renderWorkerBlock({
      job,
      isIsolated: isIsolated(job.provider, runtime.options.local),
      sandbox,
      skills: skills
        .filter(({ name }) => job.task.skills.includes(name))
        .map(({ name, content }) => ({ name, content, folder: skillFolder(sandbox ?? { home: "~" }, name) })),
      agentPrompt: agents.find(({ name }) => name === job.task.agent)?.prompt ?? null,
    });
  }

  async function forOrchestrator(): Promise<string> {
    const loaded = await access.options();
    if (loaded.kind === "invalid") return renderUnusableOptions(loaded.message);
    const runtime = await access.opened()?.catch(() => null);
    const { maxRunningJobs, maxTasksPerCall, environments, gpuLimits } = loaded.options;
    const provider = chooseProvider(loaded.options, process.env).name;
    return renderOrchestratorBlock({
      maxRunningJobs,
      maxTasksPerCall,
      gpuLimits,
      environments: Object.keys(environments),
      emptyEnvironments: Object.keys(environments).filter((name) => environments[name]?.workspace === "empty"),
      provider,
      isIsolated: isIsolated(provider, loaded.options.local),
      pool: runtime?.scheduler.counts() ?? null,
    });
  }
}
