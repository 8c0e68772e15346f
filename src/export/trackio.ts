import { request } from "./request.ts";
import { type TrackedRun, type TrackedValue, toStep } from "./runs.ts";
import { type Sent, type SentRun, unsent, withSent } from "./sent.ts";

const MOST_ENTRIES = 500;

/**
 * Sends to a Trackio server.
 * @source gradio-app/trackio 0.31, `trackio/asgi_app.py`: `POST /api/<name>` with `{ "kwargs": … }`, answered with
 * `{ "data" }` or `{ "error" }`; `trackio/server.py`, `bulk_log(logs, hf_token)`, with the header `x-trackio-write-token`;
 * `trackio/typehints.py`, `LogEntry`: `log_id` is what doubles are known by; `trackio/utils.py`: NaN and infinities are the
 * texts that we have for them. It takes the time of arrival as the time of a value.
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
    async send(run: TrackedRun): Promise<number> {
      let known: SentRun = sent.of(run.job) ?? { id: run.job, newest: {}, state: "" };
      const values = unsent(run, known);
      for (let from = 0; from < values.length; from += MOST_ENTRIES) {
        const part = values.slice(from, from + MOST_ENTRIES);
        const logs = part.map((value) => toEntry(run, project, value));
        await request("POST", url, token ? { "x-trackio-write-token": token } : {}, {
          kwargs: { logs, hf_token: null },
        });
        known = withSent({ ...known, state: run.state }, part);
        sent.save(run.job, known);
      }
      return values.length;
    },
  };
}

const toEntry = (
  { job, name, params, facts }: TrackedRun,
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
    ...Object.fromEntries(Object.entries(facts).map(([fact, words]) => [`opencode.${fact}`, words])),
  },
  log_id: [job, key, step, at, report].join(":"),
});
