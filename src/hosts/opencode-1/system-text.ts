import type { Catalog } from "../../jobs/core/ports.ts";
import { skillFolder } from "../../jobs/sandbox/install-skills.ts";
import { renderOrchestratorBlock } from "../../prompt/orchestrator-block.ts";
import { renderWorkerBlock } from "../../prompt/worker-block.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import { plainText } from "../../shared/plain-text.ts";
import { isIsolated } from "../../views/place.ts";
import type { RuntimeAccess } from "./runtime-access.ts";
import type { JobMark, SessionKinds } from "./session-kinds.ts";

export interface SystemTextDeps {
  readonly kinds: SessionKinds;
  readonly access: RuntimeAccess;
  readonly catalog: () => Promise<Catalog>;
}

/**
 * Gives a job's session its own system text in place of the host's, and any other conversation the block on
 * delegating. Requests that are no conversation (titles, compaction) carry no environment block of the host's; they
 * are left alone.
 */
export function createSystemText({ kinds, access, catalog }: SystemTextDeps) {
  return async (sessionID: string | undefined, system: string[]): Promise<void> => {
    if (!sessionID || !system.some((text) => text.includes("<env>"))) return;
    const mark = await kinds.jobOf(sessionID);
    if (mark) system.splice(0, system.length, await workerBlock(mark));
    else system.push(await orchestratorBlock());
  };

  async function workerBlock({ job: jobID, orchestrator }: JobMark): Promise<string> {
    const runtime = await access.runtime();
    const job = (await runtime.sessionJobs(orchestrator)).get(jobID);
    if (!job) return `This session belonged to the job ${jobID}, which no longer exists. Say so and end your turn.`;
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

  async function orchestratorBlock(): Promise<string> {
    const loaded = await access.options();
    if (loaded.kind === "invalid")
      return `The parallel agents plugin is misconfigured and cannot start jobs. ${plainText(loaded.message)}`;
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
