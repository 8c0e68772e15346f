import { hostFiles } from "../../config/host-files.ts";
import type { LoadedOptions } from "../../config/load.ts";
import { withTimeZone } from "../../config/time-zone.ts";
import type { Spend } from "../../core/budget.ts";
import { describeDamage } from "../../core/damaged-state.ts";
import { isEnded, type Job, type JobSandbox } from "../../core/job.ts";
import type { Catalog, ChildSessions, OrchestratorSessions } from "../../core/ports.ts";
import type { UndoneStarts } from "../../jobs/execution/undone-jobs.ts";
import type { Runtime } from "../../jobs/runtime.ts";
import { createProvider, machineGpus } from "../../providers/create-provider.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import type { MachineReading } from "../../sandboxes/machine-gpus.ts";
import { systemClock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { randomId } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import { within } from "../../shared/time-limit.ts";
import type { ProcessTable } from "../../tools/process-table.ts";

/** Reads the options and opens the runtime once, on first need: the plugin must not slow down the start of its host. */
export interface RuntimeAccess {
  /** Reads the options; never rejects. */
  options(): Promise<LoadedOptions>;
  /** @throws PluginError `config_invalid` */
  runtime(): Promise<Runtime>;
  /**
   * What this machine's GPUs were when they were first asked for, which does not change as long as this process lives: none
   * if the driver takes long to answer.
   */
  machineGpus(): Promise<MachineReading>;
  /** The runtime if something has opened it. */
  opened(): Promise<Runtime> | null;
}

/** The session of a job that has just ended. */
export interface EndedIn {
  /** Jobs of it that have not ended by now. */
  readonly open: () => number;
  /** Whether the host wakes an idle session to tell it. */
  readonly resume: boolean;
  /** Whether a turn of it is under way, which is told of the end. */
  readonly isBusy: () => Promise<boolean>;
}

export interface RuntimeAccessDeps {
  /** Where the host was opened, absolute. */
  readonly directory: string;
  /** Options given where the host's configuration names the plugin. */
  readonly tuple: unknown;
  /** What there is to say of how the host has loaded the plugin, asked once it has. */
  readonly notices: () => readonly string[];
  readonly sessions: ChildSessions;
  readonly orchestrators: OrchestratorSessions;
  readonly catalog: () => Promise<Catalog>;
  /** Paths and patterns of the files that the host is configured to read as instructions. */
  readonly instructions: () => readonly string[];
  readonly log: Log;
  /** Told to forget a job's processes when its sandbox ends. */
  readonly processes: Pick<ProcessTable, "leave">;
  readonly onJobEnd: (job: Job, session: EndedIn) => void;
  readonly onUndone: (starts: UndoneStarts) => void;
  readonly onLowBudget: (spend: Spend, ceilingUsd: number) => void;
  /** Told what was lost with the state that all processes share. */
  readonly onDamage: (notice: string) => void;
}

/** How a job's background processes ended, when its sandbox is not live any more. */
function describeEnd(sandbox: JobSandbox["kind"], now: number): string {
  const at = `at ${new Date(now).toISOString().slice(11, 16)} UTC`;
  return sandbox === "parked"
    ? `it ended when the sandbox was parked ${at}, after the job's turn; files are kept, processes are not`
    : `it ended with its sandbox, which was ended or lost ${at}`;
}

/** A model's first request waits so long at most for a driver that is slow. */
const FIRST_READING_MS = 3_000;
const NO_GPUS: MachineReading = { gpus: [], why: null };

export function createRuntimeAccess(deps: RuntimeAccessDeps): RuntimeAccess {
  const { directory, tuple, sessions, orchestrators, log, processes } = deps;

  const options = memoizeUntilFailure(async (): Promise<LoadedOptions> => {
    const { configHomeOf, loadOptions } = await import("../../config/load.ts");
    const configHome = configHomeOf(process.env);
    const loaded = await loadOptions({ tuple, directory, configHome, env: process.env, files: hostFiles });
    return loaded.kind === "invalid"
      ? {
          ...loaded,
          message: `${loaded.message}\nOpenCode reads options when it starts: correct them, then restart it.`,
        }
      : { ...loaded, notices: [...deps.notices(), ...loaded.notices] };
  });

  const gpus = memoizeUntilFailure(async () => {
    const loaded = await options();
    return loaded.kind === "invalid" ? null : machineGpus(loaded.options, process.env, log);
  });
  const firstReading = memoizeUntilFailure(async (): Promise<MachineReading> => {
    const reading = (await gpus())?.read() ?? Promise.resolve(NO_GPUS);
    const limit = { clock: systemClock, limitMs: FIRST_READING_MS, doing: "Asking this machine for its GPUs" };
    return within(reading, limit).catch(() => NO_GPUS);
  });

  async function open(): Promise<Runtime> {
    const loaded = await options();
    if (loaded.kind === "invalid") throw new PluginError("config_invalid", loaded.message, { retryable: false });
    const { openRuntime } = await import("../../jobs/runtime.ts");
    const { serveViews } = await import("../../jobs/live/serve-views.ts");
    const own = (await gpus()) ?? undefined;
    const runtime = await openRuntime({
      options: loaded.options,
      notices: [...loaded.notices, ...loaded.remarks],
      sessions,
      orchestrators,
      providerName: chooseProvider(loaded.options, process.env).name,
      createProvider: (name, limiter) => createProvider(name, loaded.options, directory, limiter, log, own),
      ...(own && { machineGpus: own }),
      catalog: deps.catalog,
      directory,
      hostEnv: withTimeZone(process.env),
      clock: systemClock,
      ids: randomId,
      log,
    });
    for (const notice of loaded.notices)
      log("warn", "not all that the host's configuration or a project's options say counts", { notice });
    for (const notice of describeDamage(runtime.pool, [])) {
      log("error", "records of the state were lost", { notice });
      deps.onDamage(notice);
    }
    runtime.ledger.onProblem(deps.onDamage);
    runtime.watchdog.onBudgetWarning(({ spend, ceilingUsd }) => deps.onLowBudget(spend, ceilingUsd));
    runtime.undoneJobs.on(deps.onUndone);
    async function onEnd(job: Job): Promise<void> {
      const jobs = await runtime.registry.inUse(job.orchestrator);
      deps.onJobEnd(job, {
        open: () => jobs?.whole.all().filter(({ state }) => !isEnded(state)).length ?? 0,
        resume: runtime.options.notify.resume,
        isBusy: async () => (await orchestrators.atWork()).has(job.orchestrator),
      });
    }
    runtime.registry.onChange(({ before, job }) => {
      if (before?.sandbox.kind === "live" && job.sandbox.kind !== "live")
        processes.leave(job.id, describeEnd(job.sandbox.kind, systemClock.now()));
      if (before && !isEnded(before.state) && isEnded(job.state)) void onEnd(job).catch(() => {});
    });
    const stopServing = serveViews(runtime, { directory, instructions: deps.instructions });
    return {
      ...runtime,
      suspend() {
        stopServing();
        return runtime.suspend();
      },
    };
  }

  const runtime = memoizeUntilFailure(open); // an unwritable folder may be writable at the next call
  return { options, runtime, machineGpus: firstReading, opened: runtime.current };
}
