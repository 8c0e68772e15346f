import { computed, effect, signal } from "@preact/signals";
import type { NotFinite } from "../../../core/series.ts";
import { systemClock } from "../../../shared/clock.ts";
import { oneLine } from "../../../shared/plain-text.ts";
import { formatNotFinite, formatValue } from "../../../views/numbers.ts";
import { tickLabels } from "../../../views/tick-labels.ts";
import { get } from "../api.ts";
import { boundsOf, type Curve, chooseJobs, createKeptCurves, type SeriesPoint } from "../layout/curves.ts";
import { some } from "../layout/format.ts";
import { toDots, toPath, toScale } from "../layout/scale.ts";
import { ledger } from "../ledger.ts";
import { selected } from "../selection.ts";
import { fields, jobs } from "../store.ts";
import { Axes, roomFor } from "./axes.tsx";
import { Chart, plotWidth, Table } from "./chart.tsx";
import { JobName } from "./job-name.tsx";

/** As many as colours can be told apart. */
const MOST = 8;
const EVERY_MS = 1_500;
const [HEIGHT, BOTTOM] = [240, 24];

const chosen = signal<string | null>(null);
const names = computed(() =>
  [...new Set([...jobs.value.values()].flatMap(({ metrics }) => Object.keys(metrics)))].sort(),
);
/** The one that was chosen here, else the one that experiments are ranked by. */
const metric = computed(
  () =>
    [chosen.value, ledger.value?.metric].find((name) => name != null && names.value.includes(name)) ??
    names.value[0] ??
    null,
);
const drawn = computed(() => chooseJobs([...jobs.value.values()], metric.value, MOST));
const curves = signal<readonly Curve[]>([]);

interface Told {
  readonly job: string;
  readonly series: readonly {
    readonly metric: string;
    readonly reports: number;
    readonly notFinite: NotFinite;
    readonly points: readonly SeriesPoint[];
  }[];
}

/** Reads the series that are drawn again when one of them has a new value. */
export function followCurves(): void {
  const wanted = computed(() => {
    const values = drawn.value.map(({ id, metrics }) => [id, metrics[metric.value ?? ""]?.at]);
    return JSON.stringify([fields.value.session, metric.value, values]);
  });
  let [isReading, isDue] = [false, false];
  const kept = createKeptCurves();
  const read = async () => {
    [isReading, isDue] = [true, false];
    const [session, name] = [fields.peek().session, metric.peek() ?? ""];
    const of = JSON.stringify([session, name]);
    const found = await kept.read(
      drawn.peek().map(({ id, metrics }) => ({ job: id, of, state: JSON.stringify(metrics[name]) })),
      async (job) => {
        const { series } = await get<Told>(`/series/${job}`, session);
        const { points = [], reports = 0, notFinite = {} } = series.find((one) => one.metric === name) ?? {};
        return { job, points, reports, notFinite };
      },
    );
    curves.value = found.curves;
    if (!found.isWhole) isDue = true; // a job that has ended has no new value, which would be the next occasion
    systemClock.after(EVERY_MS, () => {
      isReading = false;
      if (isDue) void read();
    });
  };
  effect(() => {
    void wanted.value;
    isDue = true;
    if (!isReading) void read();
  });
}

export function Curves() {
  if (metric.value === null) return null;
  const shown = curves.value.filter(({ points }) => points.length > 0);
  const having = [...jobs.value.values()].filter(({ metrics }) => Object.hasOwn(metrics, metric.value ?? "")).length;
  return (
    <Chart
      title="Metrics over steps"
      summary={`${oneLine(metric.value)} of ${shown.length} of ${some(having, "job")}: those that run, then the newest.`}
      tools={
        <select
          aria-label="Metric over steps"
          value={metric.value}
          onChange={(event) => {
            chosen.value = event.currentTarget.value;
          }}
        >
          {names.value.map((name) => (
            <option key={name} value={name}>
              {oneLine(name)}
            </option>
          ))}
        </select>
      }
      chart={() => <Lines shown={shown} />}
      table={() => (
        <Table
          caption={`${oneLine(metric.value ?? "")} over steps`}
          head={["Job", "Reports", "First", "Smallest", "Largest", "Last", "At step", "Not finite"]}
          rows={shown.map(({ job, points, reports, notFinite }) => {
            const values = points.map(({ value }) => Number(value)).filter(Number.isFinite);
            return [
              <JobName key={job} id={job} />,
              reports,
              formatValue(points[0]?.value ?? "NaN"),
              values.length === 0 ? "" : formatValue(Math.min(...values)),
              values.length === 0 ? "" : formatValue(Math.max(...values)),
              formatValue(points.at(-1)?.value ?? "NaN"),
              points.at(-1)?.at ?? "",
              formatNotFinite(notFinite),
            ];
          })}
        />
      )}
    />
  );
}

function Lines({ shown }: { readonly shown: readonly Curve[] }) {
  const bounds = boundsOf(shown);
  if (!bounds) return <p>No value of it can be drawn yet.</p>;
  const width = plotWidth.value;
  const yScale = toScale(bounds.y, [HEIGHT - BOTTOM - 6, 10], 5, true);
  const y = { scale: yScale, labels: tickLabels(yScale.ticks) };
  const left = roomFor(y.labels);
  const xScale = toScale(bounds.x, [left + 4, width - 10], width / 100);
  const x = { scale: xScale, labels: tickLabels(xScale.ticks) };
  const places = (points: readonly SeriesPoint[]) =>
    points.map(({ at, value }) =>
      Number.isFinite(Number(value)) ? ([xScale(at), yScale(Number(value))] as const) : null,
    );
  return (
    <>
      <svg
        class="plot"
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="img"
        aria-label={`${oneLine(metric.value ?? "")} over steps, ${some(shown.length, "job")}`}
      >
        <Axes x={x} y={y} left={left} width={width} height={HEIGHT} />
        {shown.map(({ job, points }, index) => (
          <g key={job} class={`curve c${index}${selected.value === job ? " selected" : ""}`}>
            <path d={toPath(places(points))} />
            <path class="dot" d={toDots(places(points))} />
          </g>
        ))}
      </svg>
      <ul class="legend">
        {shown.map(({ job, notFinite }, index) => (
          <li key={job} class={`c${index}`}>
            <JobName id={job} />
            {Object.keys(notFinite).length > 0 && ` (${formatNotFinite(notFinite)})`}
          </li>
        ))}
      </ul>
    </>
  );
}
