import type { PluginInput } from "@opencode-ai/plugin";
import { hostFiles } from "../../config/host-files.ts";
import { configHomeOf, type LoadedOptions, loadOptions } from "../../config/load.ts";
import { isEnded, type Job } from "../../jobs/core/job.ts";
import { type Lab, openLab } from "../../jobs/runtime.ts";
import type { Catalog, ChildSessions, OrchestratorSessions } from "../../jobs/core/ports.ts";
import type { Spend } from "../../jobs/core/budget.ts";
import { createProvider } from "../../providers/create-provider.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import { systemClock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { randomId } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import type { ProcessTable } from "../../tools/process-table.ts";
import { renderNotice } from "../../prompt/notice.ts";
import { createGit } from "../../workspace/git.ts";
import { copySkill } from "./skill-folders.ts";

/** Opens options and lab on first need, once: starting OpenCode must not feel us. */
export interface LabAccess {
  /** Reads the options; never rejects. */
  options(): Promise<LoadedOptions>;
  /** @throws PluginError `config_invalid` */
  lab(): Promise<Lab>;
  /** The lab if something has opened it. */
  opened(): Promise<Lab> | null;
}

export interface LabAccessDeps {
  readonly input: Pick<PluginInput, "directory">;
  readonly tuple: unknown;
  readonly sessions: ChildSessions;
  readonly orchestrators: OrchestratorSessions;
  readonly catalog: () => Promise<Catalog>;
  readonly log: Log;
  /** Forgets a sandbox's processes when it ends. */
  readonly processes: Pick<ProcessTable, "forget">;
  readonly onJobEnd: (job: Job) => void;
  readonly onLowBudget: (spend: Spend, ceilingUsd: number) => void;
}

export function createLabAccess(deps: LabAccessDeps): LabAccess {
  const { input, tuple, sessions, orchestrators, log, processes } = deps;
  let loading: Promise<LoadedOptions> | null = null;
  let opening: Promise<Lab> | null = null;

  const options = () => {
    loading ??= loadOptions({
      tuple,
      directory: input.directory,
      configHome: configHomeOf(process.env),
      env: process.env,
      files: hostFiles,
    });
    return loading;
  };

  async function open(): Promise<Lab> {
    const git = createGit(systemClock, process.env);
    const loaded = await options();
    if (loaded.kind === "invalid") throw new PluginError("config_invalid", loaded.message, { retryable: false });
    const lab = await openLab({
      options: loaded.options,
      notices: [...loaded.notices, ...loaded.remarks],
      sessions,
      orchestrators,
      renderNotice: (ended, openJobs) => renderNotice(ended, openJobs, randomId),
      onLowBudget: deps.onLowBudget,
      providerName: chooseProvider(loaded.options, process.env).name,
      createProvider: (name) => createProvider(name, loaded.options, input.directory, log),
      async furnish(job, sandbox) {
        const { skills } = await deps.catalog();
        const notes: string[] = [];
        for (const name of job.task.skills) {
          const skill = skills.find((one) => one.name === name);
          if (skill) notes.push(...(await copySkill(skill, sandbox, git)));
        }
        return notes;
      },
      directory: input.directory,
      hostEnv: process.env,
      clock: systemClock,
      ids: randomId,
      log,
    });
    for (const notice of loaded.notices) log("warn", "not all of a project's options count", { notice });
    for (const aside of lab.pool.damaged()) log("error", "a damaged state file was set aside", { aside });
    lab.onChange(({ before, job }) => {
      if (before?.sandbox.kind === "live" && job.sandbox.kind !== "live") processes.forget(job.id);
      if (before && !isEnded(before.state) && isEnded(job.state)) deps.onJobEnd(job);
    });
    return lab;
  }

  return {
    options,
    lab() {
      opening ??= open().catch((error) => {
        opening = null; // an unwritable folder may be writable at the next call
        throw error;
      });
      return opening;
    },
    opened: () => opening,
  };
}
