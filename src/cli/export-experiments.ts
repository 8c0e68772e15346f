import { mark } from "../core/experiments/experiment.ts";
import { createMlflow } from "../export/mlflow.ts";
import { TrackerError } from "../export/request.ts";
import { toTrackedRun } from "../export/runs.ts";
import { openSent } from "../export/sent.ts";
import { createTrackio } from "../export/trackio.ts";
import type { LabArchive } from "../lab/lab.ts";
import { systemClock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { UsageError } from "./command.ts";

const TRACKERS = {
  trackio: { create: createTrackio, variable: "TRACKIO_SERVER_URL", usual: "http://127.0.0.1:7860" },
  mlflow: { create: createMlflow, variable: "MLFLOW_TRACKING_URI", usual: "http://127.0.0.1:5000" },
} as const;

export type TrackerName = keyof typeof TRACKERS;

export interface Exported {
  readonly place: string;
  /** Experiments of the project. */
  readonly all: number;
  /** Those of which something was sent. */
  readonly experiments: number;
  readonly values: number;
  /** Experiments that have no values, for which the tracker has no place. */
  readonly withoutValues: number;
  /** Values that the project's jobs reported over steps, and those of them that are kept, which alone can be sent. */
  readonly reported: number;
  readonly kept: number;
}

/**
 * Sends the experiments of a session's project to a tracker, as far as it does not have them.
 * @param address "" = the one of its variable, or else its usual place on this machine
 * @param isAgain whether to send it what it was sent before, too
 * @throws UsageError; PluginError that says what was sent and what was not
 */
export async function exportExperiments(
  lab: LabArchive,
  {
    name,
    address,
    session,
    isAgain,
    stateDir,
    env,
  }: {
    readonly name: TrackerName;
    readonly address: string;
    readonly session: string;
    readonly isAgain: boolean;
    readonly stateDir: string;
    readonly env: Readonly<Record<string, string | undefined>>;
  },
): Promise<Exported> {
  const { create, variable, usual } = TRACKERS[name];
  const base = address === "" ? toUrl(env[variable] || usual, variable, name) : toUrl(address, `--${name}`, name);
  const place = `${base.origin}${base.pathname.replace(/\/+$/, "")}`;
  const project = mark(lab.sessions(null).find(({ id }) => id === session)?.project ?? session);
  const rows = lab.experiments(session);
  const sent = openSent(stateDir, [name, place, project], { isAgain, clock: systemClock });
  const tracker = create(base, env, project, sent);
  keep(stateDir, sent.prepare);
  let [done, values, changed, withoutValues, reported, kept] = [0, 0, 0, 0, 0, 0];
  for (const row of rows) {
    try {
      const run = toTrackedRun(row, (one, job) => lab.series(one, job));
      reported += run.reported;
      kept += run.kept;
      const sentNow = await tracker.send(run);
      values += sentNow.values;
      changed += Number(sentNow.isNews);
      withoutValues += Number(sentNow.isLeftOut);
      done += Number(!sentNow.isLeftOut);
    } catch (error) {
      keep(stateDir, sent.close);
      if (!(error instanceof TrackerError)) throw error instanceof PluginError ? error : notKept(stateDir, error);
      throw new PluginError(
        "collect_failed",
        `Could not send all experiments to ${place}: ${error.message}. Sent were ${done} of ${rows.length}, with ${values} new values; not sent are ${row.experiment.job} and those after it. What was sent is remembered: the same command sends the rest.`,
        { retryable: true, cause: error },
      );
    }
  }
  keep(stateDir, sent.close);
  return { place, all: rows.length, experiments: changed, values, withoutValues, reported, kept };
}

function keep(stateDir: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw error instanceof PluginError ? error : notKept(stateDir, error);
  }
}

const notKept = (stateDir: string, cause: unknown): PluginError =>
  new PluginError(
    "collect_failed",
    `Could not keep in ${stateDir} how far the tracker has got, so nothing more is sent: ${cause instanceof Error ? cause.message : String(cause)}`,
    { retryable: true, cause },
  );

/** @param where option or variable that the address stands in @throws UsageError */
function toUrl(address: string, where: string, name: TrackerName): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  const example = /^[\w.-]+:\d+(\/|$)|^\[[\d:a-f]+\]/i.test(address) ? `http://${address}` : TRACKERS[name].usual;
  throw new UsageError(
    `"${where}" is "${withoutSecrets(address)}", which is no address of a server: that begins with http:// or https://, as "--${name} ${withoutSecrets(example)}" does.`,
  );
}

/** An address to show: without the password and the token that may stand in it. */
const withoutSecrets = (address: string): string =>
  oneLine(address.replace(/[?#].*$/s, "").replace(/^(\w+:\/\/)?[^/]*@/, "$1"), 100);
