import { computed, effect, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { systemClock } from "../../../shared/clock.ts";
import { plainText } from "../../../shared/plain-text.ts";
import type { LabAnswer } from "../../../views/lab-view.ts";
import type { ListedJob } from "../../server/parts.ts";
import { get } from "../api.ts";
import { isInSight } from "../in-sight.ts";
import { selected } from "../selection.ts";
import { fields, jobs } from "../store.ts";

/** What the command of the chosen job prints; null = not known yet. */
const output = signal<{ readonly job: string; readonly answer: LabAnswer } | null>(null);

/** Between an answer and the next question. */
const AGAIN_MS = 1_000;

const printing = computed(() => {
  const job = jobs.value.get(selected.value ?? "");
  return job?.state === "running" && fields.value.isLive ? job.id : null;
});

/** Asks again and again for the output of the chosen job, while it runs and the page is in sight. */
export function followOutput(): void {
  effect(() => {
    const id = printing.value;
    if (id === null) return;
    const session = fields.peek().session;
    const abort = new AbortController();
    let stopTimer = () => {};
    const look = async () => {
      if (isInSight.peek()) {
        try {
          const answer = await get<LabAnswer>(`/output/${id}`, session, abort.signal);
          if (!abort.signal.aborted) output.value = { job: id, answer };
        } catch {
          // The stream says what is wrong with the connection.
        }
      }
      if (!abort.signal.aborted) stopTimer = systemClock.after(AGAIN_MS, () => void look());
    };
    void look();
    return () => {
      abort.abort();
      stopTimer();
    };
  });
}

export function Output({ job }: { readonly job: ListedJob }) {
  const box = useRef<HTMLElement>(null);
  const known = output.value?.job === job.id && printing.value === job.id ? output.value.answer : null;
  const text = known?.kind === "done" ? known.text : "";
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  if (!known) return null;
  if (text === "")
    return (
      <p class="summary">
        {known.kind === "refused" ? known.message : "No command of it prints anything at the moment."}
      </p>
    );
  return (
    <>
      <h3>Output, live</h3>
      <section
        ref={box}
        class="scroll"
        aria-label="Output, live"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        tabIndex={0}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < 20;
        }}
      >
        <pre>{plainText(text)}</pre>
      </section>
    </>
  );
}
