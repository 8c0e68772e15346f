import type { PluginInput } from "@opencode-ai/plugin";
import { hostFiles } from "../../config/host-files.ts";
import { configHomeOf, type LoadedOptions, loadOptions } from "../../config/load.ts";
import type { Spend } from "../../jobs/core/budget.ts";
import { isEnded, type Job } from "../../jobs/core/job.ts";
import type { Catalog, ChildSessions, OrchestratorSessions } from "../../jobs/core/ports.ts";
import { openRuntime, type Runtime } from "../../jobs/runtime.ts";
import { renderNotice } from "../../prompt/notice.ts";
import { createProvider } from "../../providers/create-provider.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import { systemClock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { randomId } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import type { ProcessTable } from "../../tools/process-table.ts";

/** Opens options and lab on first need, once: starting OpenCode must not feel us. */
export interface RuntimeAccess {
  /** Reads the options; never rejects. */
  options(): Promise<LoadedOptions>;
  /** @throws PluginError `config_invalid` */
  runtime(): Promise<Runtime>;
  /** The lab if something has opened it. */
  opened(): Promise<Runtime> | null;
}

export interface RuntimeAccessDeps {
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

export function createRuntimeAccess(deps: RuntimeAccessDeps): RuntimeAccess {
  const { input, tuple, sessions, orchestrators, log, processes } = deps;
  let loading: Promise<LoadedOptions> | null = null;
  let opening: Promise<Runtime> | null = null;

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

  async function open(): Promise<Runtime> {
    const loaded = await options();
    if (loaded.kind === "invalid") throw new PluginError("config_invalid", loaded.message, { retryable: false });
    const runtime = await openRuntime({
      options: loaded.options,
      notices: [...loaded.notices, ...loaded.remarks],
      sessions,
      orchestrators,
      renderNotice: (ended, openJobs) => renderNotice(ended, openJobs, randomId),
      onLowBudget: deps.onLowBudget,
      providerName: chooseProvider(loaded.options, process.env).name,
      createProvider: (name) => createProvider(name, loaded.options, input.directory, log),
      catalog: deps.catalog,
      directory: input.directory,
      hostEnv: process.env,
      clock: systemClock,
      ids: randomId,
      log,
    });
    for (const notice of loaded.notices) log("warn", "not all of a project's options count", { notice });
    for (const aside of runtime.pool.damaged()) log("error", "a damaged state file was set aside", { aside });
    runtime.onChange(({ before, job }) => {
      if (before?.sandbox.kind === "live" && job.sandbox.kind !== "live") processes.forget(job.id);
      if (before && !isEnded(before.state) && isEnded(job.state)) deps.onJobEnd(job);
    });
    return runtime;
  }

  return {
    options,
    runtime() {
      opening ??= open().catch((error) => {
        opening = null; // an unwritable folder may be writable at the next call
        throw error;
      });
      return opening;
    },
    opened: () => opening,
  };
}
