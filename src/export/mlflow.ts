import { Buffer } from "node:buffer";
import { mark } from "../core/experiments/experiment.ts";
import { request, sendInParts, TrackerError } from "./request.ts";
import { type TrackedRun, type TrackedValue, toStep } from "./runs.ts";
import { type Sent, type SentNow, type SentRun, unsent, withSent } from "./sent.ts";

/**
 * @source MLflow, "REST API", Log Batch, Request Limits: 1,000 metrics, 100 params and 100 tags; a name has 250 characters, a
 * param 6,000 since 2.8 (mlflow/mlflow#9709) and 500 before, as in servers of others that speak its language
 */
const MOST = { metrics: 1_000, params: 100, name: 250, value: 6_000, valueBefore: 500 };

/**
 * Sends to an MLflow tracking server.
 * @source MLflow, "REST API" (mlflow.org/docs/latest/rest-api.html), below `/api/2.0/mlflow`: `GET experiments/get-by-name`,
 * `POST experiments/create`, `runs/search`, `runs/create`, `runs/log-batch`, `runs/update`. NaN and infinities are texts, as
 * in all JSON of protocol buffers (mlflow/mlflow#1613); a store in SQL keeps infinities as ±1.8e308 (mlflow/mlflow#22826).
 */
export function createMlflow(
  base: URL,
  env: Readonly<Record<string, string | undefined>>,
  project: string,
  sent: Sent,
) {
  const root = `${base.origin}${base.pathname.replace(/\/*$/, "")}/api/2.0/mlflow`;
  const headers = authorize(base, env);
  let experiment: Promise<string> | null = null;
  const post = (path: string, body: object) => request("POST", `${root}/${path}`, headers, body);

  /** Asked in every export: where the experiment is another one, the server has lost what it was sent. */
  async function findExperiment(): Promise<string> {
    const name = `opencode-parallel-agents ${project}`;
    const asked = `${root}/experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
    const found = await request("GET", asked, headers).catch((error) => {
      if (error instanceof TrackerError && error.status === 404) return null;
      throw error;
    });
    if (found === null) {
      // A server that begins anew also counts anew, so this one may have the id of the one that is lost.
      sent.forgetAll();
      const made = idOf((await post("experiments/create", { name })).experiment_id, "experiments/create");
      sent.isIn(made);
      return made;
    }
    const { experiment_id, lifecycle_stage } = (found.experiment ?? {}) as Record<string, unknown>;
    const id = idOf(experiment_id, "experiments/get-by-name");
    if (lifecycle_stage === "deleted")
      throw new TrackerError(
        `the experiment "${name}" (${id}) was deleted there, and its name stays taken: restore it, or remove it for good with mlflow gc`,
        null,
      );
    sent.isIn(id);
    return id;
  }

  /** One that was made before, and not remembered, is found by its tag. */
  async function findRun(run: TrackedRun, experimentID: string): Promise<string> {
    const filter = `tags.\`${TAG}job\` = '${run.job.replaceAll("'", "")}'`;
    const { runs = [] } = (await post("runs/search", { experiment_ids: [experimentID], filter, max_results: 1 })) as { runs?: { info?: { run_id?: string } }[] }; // biome-ignore format: one line
    const [found] = runs;
    if (found?.info?.run_id) return found.info.run_id;
    const made = await post("runs/create", {
      experiment_id: experimentID,
      run_name: run.name,
      start_time: run.createdAt,
      tags: toTags({ job: run.job }),
    });
    return idOf((made.run as { info?: { run_id?: string } } | undefined)?.info?.run_id, "runs/create");
  }

  async function sendRun(run: TrackedRun, experimentID: string, former: SentRun | null): Promise<SentNow> {
    let current = former ?? (await begin(run, experimentID));
    const values = unsent(run, current);
    await sendInParts(values, MOST.metrics, async (part) => {
      await logValues(current.id, part);
      current = withSent(current, part);
      sent.save(run.job, current);
    });
    // Those of a job at work, such as its cost, change. A tag that is sent again replaces the former one.
    const facts = mark([run.facts]);
    if (current.facts !== facts) {
      await post("runs/log-batch", { run_id: current.id, metrics: [], params: [], tags: toTags(run.facts) });
      current = { ...current, facts };
      sent.save(run.job, current);
    }
    if (current.state !== run.state) {
      const end = run.endedAt === null ? {} : { end_time: run.endedAt };
      await post("runs/update", { run_id: current.id, status: STATUS[run.state] ?? "RUNNING", ...end });
      current = { ...current, state: run.state };
      sent.save(run.job, current);
    }
    return { values: values.length, isNews: current !== former, isLeftOut: false };
  }

  /** A store in SQL drops numbers that it has already, but refuses all of a call with a NaN that it has: each goes alone then. */
  async function logValues(id: string, values: readonly TrackedValue[]): Promise<void> {
    const log = (some: readonly TrackedValue[]) => {
      const metrics = some.map(({ key, value, at, step }) => ({
        key: toMlflowName(key),
        value,
        timestamp: at,
        step: toStep(step),
      }));
      return post("runs/log-batch", { run_id: id, metrics, params: [], tags: [] });
    };
    try {
      await log(values);
    } catch (error) {
      const isNoNumber = ({ value }: TrackedValue) => value === "NaN";
      if (!saysTwice(error) || !values.some(isNoNumber)) throw error;
      const numbers = values.filter((one) => !isNoNumber(one));
      if (numbers.length > 0) await log(numbers);
      for (const one of values.filter(isNoNumber))
        await log([one]).catch((again) => {
          if (!saysTwice(again)) throw again;
        });
    }
  }

  async function begin(run: TrackedRun, experimentID: string): Promise<SentRun> {
    const id = await findRun(run, experimentID);
    await sendInParts(Object.entries(run.params), MOST.params, async (part) => {
      const send = (most: number) => {
        const params = part.map(([key, value]) => ({ key: toMlflowName(key), value: toMlflowValue(value, most) }));
        return post("runs/log-batch", { run_id: id, metrics: [], params, tags: [] });
      };
      await send(MOST.value).catch((error) => {
        const isLong = part.some(([, value]) => String(value).length > MOST.valueBefore);
        if (!isLong || !(error instanceof TrackerError) || error.status === null || isGone(error)) throw error;
        return send(MOST.valueBefore);
      });
    });
    const begun = { id, newest: {}, state: "" };
    sent.save(run.job, begun);
    return begun;
  }

  return {
    async send(run: TrackedRun): Promise<SentNow> {
      experiment ??= findExperiment();
      const experimentID = await experiment;
      const known = sent.of(run.job);
      try {
        return await sendRun(run, experimentID, known);
      } catch (error) {
        if (known === null || !isGone(error)) throw error;
        return await sendRun(run, experimentID, null);
      }
    },
  };
}

/**
 * Whether the server says that it does not have the run any more, or that somebody has deleted it.
 * @source MLflow, `mlflow/store/tracking/sqlalchemy_store.py` and `mlflow/entities/run_info.py`: for a deleted run it has no
 * code of its own, but words
 */
const isGone = (error: unknown): boolean =>
  error instanceof TrackerError &&
  (error.status === 404 || /\brun \S+ must be in (the )?'active'/i.test(error.message));

/**
 * Whether its database says that it has one of the values.
 * @source mlflow/mlflow#26108, #24612; the words of SQLite, PostgreSQL and MySQL
 */
const saysTwice = (error: unknown): boolean =>
  error instanceof TrackerError && /unique constraint|duplicate (key|entry)/i.test(error.message);

const TAG = "opencode.";
const toTags = (facts: Readonly<Record<string, string>>) =>
  Object.entries(facts).map(([key, value]) => ({ key: `${TAG}${key}`, value }));
const STATUS: Readonly<Record<string, string>> = { completed: "FINISHED", failed: "FAILED", cancelled: "KILLED" };

/**
 * A name that it accepts. One that has to be changed for it gets a mark of its own, so that no two become one.
 * @source MLflow, `mlflow/utils/validation.py`: names have letters, digits, `_`, `-`, `.`, space, `:` and `/`, and are paths
 * that stay as they are when they are normalised
 */
export function toMlflowName(name: string): string {
  const parts = name.replace(/[^\w\-. :/]/g, "_").split("/");
  const allowed = parts.map((part) => (/^\.{0,2}$/.test(part) ? "_" : part)).join("/");
  return allowed === name && name.length <= MOST.name
    ? name
    : `${allowed.slice(0, MOST.name - 9)}_${mark([name]).slice(0, 8)}`;
}

/** Says of one that is cut that it is, with a mark of the whole: of two prompts that begin alike, neither passes for the other. */
export function toMlflowValue(value: string | number, most: number): string {
  const text = String(value);
  if (text.length <= most) return text;
  const end = ` … [cut: ${text.length} characters, ${mark([text]).slice(0, 8)}]`;
  // Half of a character of two units would be none.
  return text.slice(0, most - end.length).replace(/[\ud800-\udbff]$/, "") + end;
}

function idOf(id: unknown, path: string): string {
  if (typeof id === "string" && id !== "") return id;
  throw new TrackerError(`${path} was answered without an id, so this may be no MLflow server`, null);
}

/** @source MLflow, "Authentication": `MLFLOW_TRACKING_USERNAME` and `_PASSWORD`, or `MLFLOW_TRACKING_TOKEN` */
function authorize(base: URL, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const user = decoded(base.username) || env.MLFLOW_TRACKING_USERNAME;
  const password = decoded(base.password) || env.MLFLOW_TRACKING_PASSWORD || "";
  if (user) return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
  return env.MLFLOW_TRACKING_TOKEN ? { authorization: `Bearer ${env.MLFLOW_TRACKING_TOKEN}` } : {};
}

/** A percent sign that encodes nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
