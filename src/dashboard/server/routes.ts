import { countNotFinite } from "../../core/series.ts";
import type { Lab } from "../../lab/lab.ts";
import { parametersOf } from "./access.ts";
import { type Answer, answer, refusal } from "./answer.ts";
import { ACTIONS, readAction } from "./read-action.ts";

/** What a job has changed, as far as this can be read without its sandbox. */
export type JobWork =
  | {
      readonly kind: "kept";
      readonly files: readonly ChangedFile[];
      /** Text of the changes, the first part of it where it is long. */
      readonly diff: string;
      readonly isCut: boolean;
    }
  /** @property why a sentence */
  | { readonly kind: "none"; readonly why: string };

export interface ChangedFile {
  /** Of git: A, M, D, T. */
  readonly change: string;
  /** May contain anything. */
  readonly path: string;
}

export interface Asked {
  readonly lab: Lab;
  readonly readWork: (session: string, jobID: string) => Promise<JobWork>;
  readonly session: string | null;
  readonly path: string;
  readonly body: string;
  readonly request: {
    readonly method?: string | undefined;
    readonly url?: string | undefined;
    readonly headers: { readonly "content-type"?: string | undefined };
  };
}

/** Answers all that is neither the page nor its stream. */
export async function respondTo({ lab, readWork, session, path, body, request }: Asked): Promise<Answer> {
  const [, kind, name, ...more] = path.split("/");
  if (more.length > 0) return UNKNOWN;
  if (kind === "actions") {
    const action = ACTIONS.find((known) => known === name);
    if (!action) return refusal(404, `There is no such action; known are ${ACTIONS.join(", ")}.`, "not_found");
    if (request.method !== "POST") return onlyBy("POST");
    // A form of another page cannot send this type.
    if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
      return refusal(415, 'The body must be JSON, with content-type "application/json".');
    const read = readAction(action, body);
    if (read.kind === "invalid") return refusal(400, read.message);
    if (session === null) return refusal(409, "No session has had jobs yet.", "not_found");
    const answered = await lab.ask(session, read.request);
    return answer(answered.kind === "done" ? 200 : 409, answered);
  }
  if (!["jobs", "output", "series", "ledger"].includes(kind as string)) return UNKNOWN;
  if (request.method !== "GET") return onlyBy("GET");
  if (kind === "ledger") {
    if (name !== undefined) return UNKNOWN;
    const metric = parametersOf(request.url ?? "").get("metric") || null;
    return answer(200, { ledger: session === null ? null : lab.leaderboard(session, metric) });
  }
  const view = session === null ? null : lab.view(session);
  const job = view?.jobs.find(({ id }) => id === name);
  if (!view || !job) return refusal(404, "This session has no such job.", "not_found");
  if (kind === "series") {
    // A list, because a metric may have any name.
    const series = [...lab.series(view.session, job.id)].map(([metric, { points, reports, notFinite }]) => ({
      metric,
      reports,
      notFinite: notFinite ?? countNotFinite(points),
      points: points.map(({ step, report, value }) => ({ at: step ?? report, value })),
    }));
    return answer(200, { job: job.id, series });
  }
  if (kind === "output") return answer(200, await lab.ask(view.session, { kind: "output", job: job.id }));
  const snapshots = view.snapshots.filter((snapshot) => snapshot.job === job.id);
  return answer(200, { job, snapshots, work: await readWork(view.session, job.id) });
}

const UNKNOWN = refusal(404, "There is nothing at this address.", "not_found");

const onlyBy = (method: string): Answer => {
  const refused = refusal(405, `This answers ${method} only.`);
  return { ...refused, headers: { ...refused.headers, allow: method } };
};
