import { mark } from "../core/experiments/experiment.ts";
import { oneLine } from "../shared/plain-text.ts";
import { request, sendInParts, TrackerError } from "./request.ts";
import { type TrackedRun, type TrackedValue, toStep } from "./runs.ts";
import { isNewest, type Sent, type SentNow, type SentRun, unsent, withSent } from "./sent.ts";

const MOST_ENTRIES = 500;

/**
 * Sends to a Trackio server.
 * @source gradio-app/trackio 0.31, `trackio/asgi_app.py`: `POST /api/<name>` with `{ "kwargs": … }`, answered with
 * `{ "data" }` or `{ "error" }`; `trackio/server.py`, `bulk_log(logs, hf_token)`, with the header `x-trackio-write-token`;
 * `trackio/typehints.py`, `LogEntry`: `log_id` is what doubles are known by; `trackio/utils.py`: NaN and infinities are the
 * texts that we have for them; `trackio/sqlite_storage.py`, `bulk_log`: the config is replaced whatever becomes of the values.
 * It takes the time of arrival as the time of a value, and has no run without one.
 */
export function createTrackio(
  base: URL,
  env: Readonly<Record<string, string | undefined>>,
  project: string,
  sent: Sent,
) {
  const token = base.searchParams.get("write_token") ?? env.TRACKIO_WRITE_TOKEN;
  const url = new URL("api/bulk_log", `${base.origin}${base.pathname.replace(/\/*$/, "/")}`).href;
  return {
    async send(run: TrackedRun): Promise<SentNow> {
      let known: SentRun = sent.of(run.job) ?? { id: run.job, newest: {}, state: "" };
      const values = unsent(run, known);
      const facts = mark([run.facts, run.state]);
      // What is known of a run is replaced along with any value, also with one that is known by its id and not taken again.
      const carrier = known.facts === facts ? undefined : run.values.findLast((value) => isNewest(value, known));
      const news = values.length === 0 && carrier ? [carrier] : values;
      await sendInParts(news, MOST_ENTRIES, async (part) => {
        const logs = part.map((value) => toEntry(run, project, value));
        const answer = await request("POST", url, token ? { "x-trackio-write-token": token } : {}, {
          kwargs: { logs, hf_token: null },
        });
        if ("error" in answer)
          throw new TrackerError(`POST ${url} was refused: ${oneLine(String(answer.error), 300)}`, null);
        if (!("data" in answer))
          throw new TrackerError(`POST ${url} was not answered as Trackio does, so this may be no such server`, null);
        known = withSent({ ...known, state: run.state, facts }, part);
        sent.save(run.job, known);
      });
      return { values: values.length, isNews: news.length > 0, isLeftOut: run.values.length === 0 };
    },
  };
}

const toEntry = (
  { job, name, params, facts, state }: TrackedRun,
  project: string,
  { key, step, value, at, report }: TrackedValue,
) => ({
  project,
  run: name,
  run_id: job,
  metrics: { [key]: value },
  step: toStep(step),
  config: {
    ...params,
    ...Object.fromEntries(Object.entries({ ...facts, state }).map(([fact, words]) => [`opencode.${fact}`, words])),
  },
  log_id: [job, key, step, at, report].join(":"),
});
