import { computed, signal } from "@preact/signals";
import { oneLine } from "../../../shared/plain-text.ts";
import { formatUsd } from "../../../shared/usd.ts";
import type { ListedJob } from "../../server/parts.ts";
import { duration, some, totalUsd } from "../layout/format.ts";
import { timeTicks } from "../layout/scale.ts";
import { type Bar, endOf, type Span, spanOf, toBar } from "../layout/timeline.ts";
import { jobs, now } from "../store.ts";
import { Chart } from "./chart.tsx";
import { JobName, Mark, Words } from "./job-name.tsx";
import { Rows } from "./rows.tsx";

const ROW = 28;
const MOST = 14;

const filter = signal("");

const shown = computed(() => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [...jobs.value.values()].reverse(); // the newest first
  if (words.length === 0) return all;
  return all.filter((job) => {
    const text = [job.description, job.state, job.id, job.kind, job.gpu ?? "", job.model ?? ""].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
});

const counts = computed(() => {
  const by = new Map<ListedJob["state"], number>();
  for (const { state } of jobs.value.values()) by.set(state, (by.get(state) ?? 0) + 1);
  return [...by].map(([state, count]) => `${count} ${state}`).join(", ");
});

export function Timeline() {
  const count = jobs.value.size;
  const found = filter.value.trim() ? ` ${shown.value.length} shown.` : "";
  return (
    <Chart
      title="Jobs"
      summary={count === 0 ? "This session has had no jobs yet." : `${some(count, "job")}: ${counts.value}.${found}`}
      tools={
        <input
          type="search"
          placeholder="Filter jobs"
          aria-label="Filter jobs by name, state, GPU or model"
          value={filter.value}
          onInput={(event) => {
            filter.value = event.currentTarget.value;
          }}
        />
      }
      chart={Bars}
      table={JobTable}
    />
  );
}

function Bars() {
  const list = shown.value;
  const span = spanOf(list, now.value);
  return (
    <>
      <Axis span={span} />
      <Rows total={list.length} height={ROW} most={MOST} label="Jobs over time, newest first">
        {({ first, end, above, below }) => (
          <ol class="bars" style={{ paddingTop: `${above}px`, paddingBottom: `${below}px` }}>
            {list.slice(first, end).map((job, index) => (
              <li
                key={job.id}
                aria-setsize={list.length}
                aria-posinset={first + index + 1}
                style={{ height: `${ROW}px` }}
              >
                <span class="what">
                  <Mark state={job.state} />
                  <JobName id={job.id} />
                </span>
                <Line job={job} bar={toBar(job, span, now.value)} />
                <span class="gpu">{job.gpu ?? ""}</span>
                <span class="cost">{formatUsd(totalUsd(job))}</span>
              </li>
            ))}
          </ol>
        )}
      </Rows>
    </>
  );
}

const percent = (share: number) => `${(100 * share).toFixed(3)}%`;

function Line({ job, bar: { wait, run } }: { readonly job: ListedJob; readonly bar: Bar }) {
  const words = oneLine(job.reason ?? job.status ?? job.tool ?? "");
  return (
    <svg class="line" role="img" aria-label={timesOf(job)}>
      <title>{words ? `${timesOf(job)}: ${words}` : timesOf(job)}</title>
      <rect class="wait" x={percent(wait[0])} width={percent(wait[1] - wait[0])} y="10" height="8" />
      {run && (
        // A short run is still seen.
        <rect
          class={`run ${job.state}`}
          x={percent(run[0])}
          width={`max(3px, ${percent(run[1] - run[0])})`}
          y="5"
          height="18"
          rx="3"
        />
      )}
    </svg>
  );
}

function timesOf(job: ListedJob): string {
  const end = endOf(job, now.value);
  const start = job.startedAt === undefined ? end : Date.parse(job.startedAt);
  const waited = `waited ${duration(start - Date.parse(job.createdAt))}`;
  return job.startedAt === undefined ? waited : `${waited}, ran ${duration(end - start)}`;
}

function Axis({ span }: { readonly span: Span }) {
  const offset = -60_000 * new Date(span.from).getTimezoneOffset();
  const isShort = span.to - span.from < 300_000;
  const format = (at: number, isDay: boolean) =>
    isDay
      ? new Date(at).toLocaleDateString([], { month: "short", day: "numeric" })
      : new Date(at).toLocaleTimeString([], {
          hour: "2-digit",
          minute: "2-digit",
          ...(isShort && { second: "2-digit" }),
        });
  return (
    <div class="axis" aria-hidden="true">
      {timeTicks(span.from, span.to, 6, offset).map(({ at, isDay }) => (
        <span key={at} style={{ left: percent((at - span.from) / (span.to - span.from)) }}>
          {format(at, isDay)}
        </span>
      ))}
    </div>
  );
}

const HEAD = ["Job", "State", "Kind", "GPU", "Waited and ran", "Cost", "Says"];

function JobTable() {
  const list = shown.value;
  return (
    <Rows total={list.length} height={ROW} most={MOST} label="Jobs, newest first">
      {({ first, end, above, below }) => (
        <table aria-rowcount={list.length + 1}>
          <caption class="unseen">Jobs, newest first</caption>
          <thead>
            <tr aria-rowindex={1}>
              {HEAD.map((name) => (
                <th key={name} scope="col" class={name === "Cost" ? "number" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Gap height={above} />
            {list.slice(first, end).map((job, index) => (
              <tr key={job.id} aria-rowindex={first + index + 2} style={{ height: `${ROW}px` }}>
                <th scope="row">
                  <JobName id={job.id} />
                </th>
                <td>{job.state}</td>
                <td>{job.kind}</td>
                <td>{job.gpu ?? ""}</td>
                <td>{timesOf(job)}</td>
                <td class="number">{formatUsd(totalUsd(job))}</td>
                <td class="says">
                  <Words text={job.error?.message ?? job.reason ?? job.status ?? ""} />
                </td>
              </tr>
            ))}
            <Gap height={below} />
          </tbody>
        </table>
      )}
    </Rows>
  );
}

/** The space of rows that are not drawn. */
export const Gap = ({ height }: { readonly height: number }) =>
  height > 0 ? <tr style={{ height: `${height}px` }} /> : null;
