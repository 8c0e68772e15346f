import { computed, effect, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { plainName, plainText } from "../../../shared/plain-text.ts";
import { formatUsd } from "../../../shared/usd.ts";
import { jobGpuWords } from "../../../views/gpu-totals.ts";
import type { JobView, SnapshotView } from "../../../views/job-view.ts";
import { formatValue } from "../../../views/numbers.ts";
import { describePorts, PUBLIC_PORTS } from "../../../views/ports.ts";
import type { ListedJob } from "../../server/parts.ts";
import type { JobWork } from "../../server/routes.ts";
import { get } from "../api.ts";
import { duration, isOpen, some } from "../layout/format.ts";
import { endOf } from "../layout/timeline.ts";
import { hideJob, selected } from "../selection.ts";
import { fields, jobs, now } from "../store.ts";
import { Actions } from "./actions.tsx";
import { Table } from "./chart.tsx";
import { JobName, Mark, Words } from "./job-name.tsx";
import { Output } from "./output.tsx";

interface Details {
  readonly job: JobView;
  readonly snapshots: readonly SnapshotView[];
  readonly work: JobWork;
}

const details = signal<Details | null>(null);
const trouble = signal<string | null>(null);

/** Reads what the stream does not tell, when a job is chosen and whenever its state changes. */
export function followDetails(): void {
  const wanted = computed(() => {
    const job = jobs.value.get(selected.value ?? "");
    return job ? JSON.stringify([job.id, job.state, job.turns, job.sandbox, fields.value.session]) : null;
  });
  effect(() => {
    const key = wanted.value;
    const id = selected.peek();
    if (key === null || id === null) return;
    const abort = new AbortController();
    get<Details>(`/jobs/${id}`, fields.peek().session, abort.signal).then(
      (got) => {
        details.value = got;
        trouble.value = null;
      },
      (error: unknown) => {
        if (!abort.signal.aborted) trouble.value = (error as Error).message;
      },
    );
    return () => abort.abort();
  });
}

export function Detail() {
  const id = selected.value;
  const job = id === null ? undefined : jobs.value.get(id);
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    heading.current?.focus();
  }, [id]);
  if (!job) return null;
  const more = details.value?.job.id === job.id ? details.value : null;
  return (
    <aside
      aria-labelledby="job"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || (event.target as Element).closest("dialog")) return;
        event.preventDefault();
        hideJob();
      }}
    >
      <header class="head">
        <h2 id="job" ref={heading} tabIndex={-1}>
          <Mark state={job.state} /> <Words text={job.description} />
        </h2>
        <button type="button" onClick={hideJob}>
          Close
        </button>
      </header>
      <Actions job={job} />
      <dl>
        {factsOf(job).map(([name, value]) => [
          <dt key={name}>{name}</dt>,
          <dd key={`${name} of it`}>
            <Words text={value} />
          </dd>,
        ])}
      </dl>
      {job.parent !== undefined && (
        <p>
          Started from <JobName id={job.parent} />
        </p>
      )}
      {job.error && (
        <p class="refused">
          <Words text={`${job.error.code}: ${job.error.message}`} />
        </p>
      )}
      {job.notes.length > 0 && (
        <>
          <h3>Notes</h3>
          <ul>
            {job.notes.map((note, index) => (
              <li key={index}>
                <Words text={note} />
              </li>
            ))}
          </ul>
        </>
      )}
      <Metrics job={job} />
      {trouble.value !== null && <p role="alert">{trouble.value}</p>}
      <Output job={job} />
      {more && <Result job={more.job} />}
      {more && <Work work={more.work} />}
    </aside>
  );
}

function factsOf(job: ListedJob): [string, string][] {
  const end = endOf(job, now.value);
  const facts: [string, string | undefined][] = [
    ["State", job.reason === undefined ? job.state : `${job.state}: ${job.reason}`],
    ["Id", job.id],
    [job.kind === "run" ? "Command" : "Runs now", isOpen(job.state) ? job.tool : undefined],
    ["Says", job.status],
    ["Model", job.model && [job.model, job.variant].filter(Boolean).join(" ")],
    ["Where", `${job.provider}, environment ${job.environment}, sandbox ${job.sandbox}`],
    ["GPU", job.gpu && [job.gpu, ...(job.devices ?? [])].join(", ")],
    ["GPU time used", job.gpuUse && jobGpuWords(job.gpuUse)],
    [
      "Parameters",
      job.params &&
        Object.entries(job.params)
          .map(([name, value]) => `${name}=${value}`)
          .join(" "),
    ],
    ["Time", job.startedAt === undefined ? undefined : duration(end - Date.parse(job.startedAt))],
    ["Cost", `${formatUsd(job.usd.model)} model, ${formatUsd(job.usd.compute)} sandbox`],
    ["Tokens", job.kind === "run" ? undefined : `${job.tokens.input} in, ${job.tokens.output} out, ${job.turns} turns`],
    ["Attempts", job.attempts === undefined ? undefined : String(job.attempts)],
    ["Exit code", job.exitCode === undefined ? undefined : String(job.exitCode)],
    ["Ports", job.ports && `${describePorts(job)}. ${PUBLIC_PORTS}: cancelling the job closes it.`],
    ["Snapshot", job.snapshot],
    ["Session", job.sessionID],
  ];
  return facts.filter((fact): fact is [string, string] => Boolean(fact[1]));
}

function Metrics({ job }: { readonly job: ListedJob }) {
  const metrics = Object.entries(job.metrics);
  if (metrics.length === 0) return null;
  return (
    <>
      <h3>Metrics</h3>
      <Table
        caption="Latest value of each metric"
        head={["Metric", "Value", "Step", "Measured"]}
        rows={metrics.map(([name, { value, step, source }]) => [
          <bdi key={name}>{name}</bdi>,
          formatValue(value),
          step ?? "",
          source,
        ])}
      />
    </>
  );
}

const Result = ({ job: { kind, result } }: { readonly job: JobView }) =>
  result ? (
    <>
      <h3>{kind === "run" ? "Output" : "Result"}</h3>
      <Text label={kind === "run" ? "Output" : "Result"} text={result} />
    </>
  ) : null;

const Text = ({ label, text }: { readonly label: string; readonly text: string }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
  <section class="scroll" aria-label={label} tabIndex={0}>
    <pre>{plainText(text)}</pre>
  </section>
);

function Work({ work }: { readonly work: JobWork }) {
  if (work.kind === "none")
    return (
      <>
        <h3>Changes</h3>
        <p class="summary">{work.why}</p>
      </>
    );
  return (
    <>
      <h3>{some(work.files.length, "changed file")}</h3>
      <ul class="files">
        {work.files.map(({ change, path }) => (
          <li key={path}>
            <abbr title={CHANGES[change] ?? change}>{change}</abbr> <bdi>{plainName(path)}</bdi>
          </li>
        ))}
      </ul>
      {work.diff !== "" && <Diff text={work.diff} />}
      {work.isCut && <p class="summary">Only the beginning is shown: collect the job to see all of it.</p>}
    </>
  );
}

const CHANGES: Readonly<Record<string, string>> = { A: "added", M: "modified", D: "deleted", T: "type changed" };

/** Runs of lines of one kind are one element: a diff may have thousands of lines. */
function Diff({ text }: { readonly text: string }) {
  const parts: { kind: string; lines: string[] }[] = [];
  for (const line of plainText(text).split("\n")) {
    const kind =
      line.startsWith("diff --git ") || line.startsWith("@@")
        ? "place"
        : line.startsWith("+")
          ? "added"
          : line.startsWith("-")
            ? "removed"
            : "";
    const last = parts.at(-1);
    if (last?.kind === kind) last.lines.push(line);
    else parts.push({ kind, lines: [line] });
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="scroll" aria-label="Changes of the job's files" tabIndex={0}>
      <pre class="diff">
        {parts.map(({ kind, lines }, index) => (
          <span key={index} class={kind}>{`${lines.join("\n")}\n`}</span>
        ))}
      </pre>
    </section>
  );
}
