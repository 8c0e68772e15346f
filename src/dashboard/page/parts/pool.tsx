import { computed } from "@preact/signals";
import { some } from "../layout/format.ts";
import { toScale, toSteps } from "../layout/scale.ts";
import { gpuHours, gpuSteps } from "../layout/timeline.ts";
import { fields, jobs, now } from "../store.ts";
import { Chart, plotWidth, Table } from "./chart.tsx";

const steps = computed(() => gpuSteps(jobs.value.values(), now.value));

const of = (used: number, limit: number | null) => (limit === null ? String(used) : `${used} of ${limit}`);

export function Pool() {
  const { pool } = fields.value;
  const gpus = Object.entries(pool?.gpus ?? {}).sort(([a], [b]) => Number(b === "total") - Number(a === "total"));
  const total = pool?.gpus.total;
  const summary =
    pool === null
      ? "Not known yet."
      : `${of(pool.running, pool.maxRunning)} slots in use, ${pool.queued} queued, over all sessions of this machine; ${
          total ? `${of(total.used, total.limit)} GPUs held` : "no GPUs held"
        }. This session's jobs have held GPUs for ${gpuHours(steps.value).toFixed(2)} GPU hours.`;
  const rows: [string, number, number | null][] = [
    ["Running jobs", pool?.running ?? 0, pool?.maxRunning ?? null],
    ...gpus.map(([type, { used, limit }]): [string, number, number | null] => [
      type === "total" ? "GPUs" : type,
      used,
      limit,
    ]),
  ];
  return (
    <Chart
      title="Pool"
      summary={summary}
      chart={() => (
        <>
          <ul class="meters">
            {rows.map(([name, used, limit]) => (
              <li key={name}>
                <span>{name}</span>
                <meter min={0} max={Math.max(1, limit ?? used)} value={used} aria-label={`${name} in use`} />
                <span class="number">{of(used, limit)}</span>
              </li>
            ))}
          </ul>
          <Held />
        </>
      )}
      table={() => (
        <>
          <Table
            caption="Slots and GPUs in use"
            head={["What", "In use", "Limit"]}
            rows={rows.map(([name, used, limit]) => [name, used, limit ?? "not known"])}
          />
          <Table
            caption="GPUs that this session's jobs held over time"
            head={["From", "GPUs held"]}
            rows={steps.value.slice(-200).map(({ at, used }) => [new Date(at).toLocaleString(), used])}
          />
        </>
      )}
    />
  );
}

const HEIGHT = 90;

/** GPUs that this session's jobs held over time. */
function Held() {
  const all = steps.value;
  const [first, last] = [all[0], all.at(-1)];
  if (!first || !last) return null;
  const most = Math.max(1, ...all.map(({ used }) => used));
  const width = plotWidth.value;
  const x = toScale([first.at, last.at], [0, width], 6);
  const y = toScale([0, most], [HEIGHT - 4, 14], 4);
  const outline = toSteps([[x(first.at), y(0)], ...all.map(({ at, used }) => [x(at), y(used)] as const)]);
  return (
    <svg
      class="held"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={`GPUs held by this session's jobs over time, ${most} at most`}
    >
      <path class="area" d={`${outline}V${y(0)}Z`} />
      <text x="2" y="11">
        {some(most, "GPU")}
      </text>
    </svg>
  );
}
