import { computed } from "@preact/signals";
import { gpuSteps, type Step } from "../../../views/gpu-steps.ts";
import { gpuCount, gpuUseWords, percent, totalGpuUse, unmeasuredWords } from "../../../views/gpu-totals.ts";
import { duration, some } from "../layout/format.ts";
import { toScale, toSteps } from "../layout/scale.ts";
import { thinSteps } from "../layout/timeline.ts";
import { fields, jobs, now } from "../store.ts";
import { Chart, plotWidth, Table } from "./chart.tsx";
import { JobName } from "./job-name.tsx";

const steps = computed(() => gpuSteps(jobs.value.values(), now.value));
const totals = computed(() => totalGpuUse(jobs.value.values(), now.value));

/** Over the GPUs of running jobs, 0 to 1; null = nothing was measured lately. */
const atPresent = computed(() => {
  let [gpus, used] = [0, 0];
  for (const { gpu, gpuUse } of jobs.value.values()) {
    if (gpuUse?.now === undefined) continue;
    const count = Math.max(1, gpuCount(gpu)); // a command alone may have one
    gpus += count;
    used += (count * gpuUse.now) / 100;
  }
  return gpus === 0 ? null : used / gpus;
});

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
        }. GPU time used by this session's jobs: ${usedWords()}.`;
  const shares = [
    ["At work now", atPresent.value],
    ["At work so far", totals.value?.share ?? null],
  ] as const;
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
            {totals.value !== null &&
              shares.map(([name, share]) => (
                <li key={name}>
                  <span>{name}</span>
                  {share === null ? (
                    <span>not measured</span>
                  ) : (
                    <meter min={0} max={1} value={share} aria-label={`GPUs: ${name.toLowerCase()}`} />
                  )}
                  <span class="number">{share === null ? "" : percent(share)}</span>
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
            caption="GPU time that this session's jobs used"
            head={["Job", "GPU", "Held", "Measured", "At work", "Now"]}
            rows={[...jobs.value.values()]
              .filter(({ gpuUse }) => gpuUse !== undefined)
              .slice(-200)
              .map(({ id, gpu, gpuUse: use }) => [
                <JobName key={id} id={id} />,
                gpu,
                duration((use?.heldSeconds ?? 0) * 1000),
                duration((use?.measuredSeconds ?? 0) * 1000),
                use?.utilization == null ? "not measured" : percent(use.utilization / 100),
                use?.now === undefined ? "" : percent(use.now / 100),
              ])}
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

function usedWords(): string {
  const all = totals.value;
  return all === null ? "none" : [gpuUseWords(all), ...unmeasuredWords(all)].join("; ");
}

const HEIGHT = 90;
const MOST_STEPS = 600;

/** GPUs that this session's jobs held over time. */
function Held() {
  const all = thinSteps(steps.value, MOST_STEPS);
  const [first, last] = [all[0], all.at(-1)];
  if (!first || !last) return null;
  const most = steps.value.reduce((largest, { used }) => Math.max(largest, used), 1);
  const width = plotWidth.value;
  const x = toScale([first.at, last.at], [0, width], 6);
  const y = toScale([0, most], [HEIGHT - 4, 14], 4);
  const area = (height: (step: Step) => number) =>
    `${toSteps([[x(first.at), y(0)], ...all.map((step) => [x(step.at), y(height(step))] as const)])}V${y(0)}Z`;
  const isMeasured = totals.value?.share != null;
  return (
    <svg
      class="held"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={`GPUs held by this session's jobs over time, ${most} at most${
        isMeasured ? `, and how many of them were at work, by each job's mean: ${usedWords()}` : ""
      }`}
    >
      <path class="area" d={area(({ used }) => used)} />
      {isMeasured && <path class="busy" d={area(({ busy }) => busy)} />}
      <text x="2" y="11">
        {some(most, "GPU")}
        {isMeasured && " held; the stronger part was at work"}
      </text>
    </svg>
  );
}
