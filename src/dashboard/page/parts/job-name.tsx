import { oneLine } from "../../../shared/plain-text.ts";
import type { ListedJob } from "../../server/parts.ts";
import { MARKS } from "../layout/format.ts";
import { showJob } from "../selection.ts";
import { jobs } from "../store.ts";

/** Characters. */
const LONGEST = 4_000;

export const Mark = ({ state }: { readonly state: ListedJob["state"] }) => (
  <span class={`mark ${state}`} role="img" aria-label={state}>
    {MARKS[state]}
  </span>
);

/** Words of a job, or of what it did, on one line. */
export const Words = ({ text }: { readonly text: string }) => <bdi>{oneLine(text, LONGEST)}</bdi>;

/** Opens the details of a job, where it is one of this session. */
export function JobName({ id, name }: { readonly id: string; readonly name?: string }) {
  const job = jobs.value.get(id);
  const text = oneLine(name ?? job?.description ?? id, LONGEST);
  return job ? (
    <button type="button" class="name" onClick={() => showJob(id)} title={id}>
      <bdi>{text}</bdi>
    </button>
  ) : (
    <bdi title={id}>{text}</bdi>
  );
}
