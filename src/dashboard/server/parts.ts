import type { LabSession } from "../../lab/lab.ts";
import type { JobView } from "../../views/job-view.ts";
import type { LabView } from "../../views/lab-view.ts";

/** A job as the stream sends it: without its result, which may be long and is asked for with the job. */
export type ListedJob = Omit<JobView, "result">;

/** What a page is told of a session first, and what changes of it later: fields that are absent are as they were. */
export interface LabState {
  /** null = there is no session that had jobs yet. */
  readonly session: string | null;
  readonly sessions: readonly LabSession[];
  readonly at: string;
  readonly isLive: boolean;
  readonly jobs: readonly ListedJob[];
  readonly pool: LabView["pool"] | null;
  readonly spend: LabView["spend"] | null;
  readonly problems: readonly string[];
}

export type LabChange = Partial<LabState> & {
  /** Jobs that were forgotten. */
  readonly gone?: readonly string[];
};

/** The state cut into what is sent by itself, each as JSON. Two reads of a state differ where their parts do. */
export interface Parts {
  readonly jobs: ReadonlyMap<string, string>;
  readonly fields: ReadonlyMap<string, string>;
}

/** Parts whose change alone is nothing to tell. */
const TIMES: ReadonlySet<string> = new Set(["at"]);

export function toParts(view: LabView | null, sessions: readonly LabSession[], at: string): Parts {
  const { jobs, ...fields } = toState(view, sessions, at);
  return {
    jobs: new Map(jobs.map((job) => [job.id, JSON.stringify(job)])),
    fields: new Map(Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)])),
  };
}

const toState = (view: LabView | null, sessions: readonly LabSession[], at: string): LabState => ({
  session: view?.session ?? null,
  sessions,
  at: view?.at ?? at,
  isLive: view?.isLive ?? false,
  jobs: view?.jobs.map(({ result: _, ...job }) => job) ?? [],
  pool: view?.pool ?? null,
  spend: view?.spend ?? null,
  problems: view?.problems ?? [],
});

/** @returns JSON of a `LabState` */
export const renderState = ({ jobs, fields }: Parts): string => toObject(fields, [["jobs", `[${[...jobs.values()]}]`]]);

/** @returns JSON of a `LabChange`; null = nothing has changed that is to be told */
export function renderChange(before: Parts, after: Parts): string | null {
  const fields = [...after.fields].filter(([name, json]) => before.fields.get(name) !== json);
  const jobs = [...after.jobs].filter(([id, json]) => before.jobs.get(id) !== json).map(([, json]) => json);
  const gone = [...before.jobs.keys()].filter((id) => !after.jobs.has(id));
  if (jobs.length === 0 && gone.length === 0 && fields.every(([name]) => TIMES.has(name))) return null;
  return toObject(fields, [
    ...(jobs.length > 0 ? [["jobs", `[${jobs}]`] as const] : []),
    ...(gone.length > 0 ? [["gone", JSON.stringify(gone)] as const] : []),
  ]);
}

/** The values are JSON already. */
const toObject = (...entries: Iterable<readonly [string, string]>[]): string =>
  `{${entries.flatMap((part) => [...part].map(([name, json]) => `${JSON.stringify(name)}:${json}`))}}`;
