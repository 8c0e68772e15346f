import { computed, useSignal } from "@preact/signals";
import { mixed, type Need, needsOf } from "../layout/needs.ts";
import { fields, jobs } from "../store.ts";
import { JobName, Words } from "./job-name.tsx";

const needs = computed(() => mixed(needsOf(jobs.value.values(), fields.value)));
const FEW = 6;

const WORDS: Readonly<Record<Need["kind"], string>> = {
  problem: "Problem",
  budget: "Budget",
  interrupted: "Interrupted",
  failed: "Failed",
  conflicts: "Conflicts",
  delayed: "Delayed",
};

export function Needs() {
  const isLong = useSignal(false);
  const all = needs.value;
  const shown = isLong.value ? all : all.slice(0, FEW);
  return (
    <section aria-labelledby="needs">
      <h2 id="needs">Needs you</h2>
      {all.length === 0 && <p class="summary">Nothing: no job has failed, none is delayed.</p>}
      <ul class="needs" aria-live="polite">
        {shown.map(({ kind, text, job }) => (
          <li key={`${kind} ${job ?? text}`} class={kind}>
            <b>{WORDS[kind]}</b>
            {job === null ? <Words text={text} /> : <JobName id={job} name={text} />}
          </li>
        ))}
      </ul>
      {all.length > FEW && (
        <button
          type="button"
          aria-expanded={isLong.value}
          onClick={() => {
            isLong.value = !isLong.value;
          }}
        >
          {isLong.value ? "Show fewer" : `Show ${all.length - FEW} more`}
        </button>
      )}
    </section>
  );
}
