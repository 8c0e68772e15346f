import { formatUsd } from "../../../shared/usd.ts";
import { forecastOf } from "../layout/forecast.ts";
import { duration, totalUsd } from "../layout/format.ts";
import { fields, jobs, now } from "../store.ts";
import { Chart, Table } from "./chart.tsx";
import { JobName } from "./job-name.tsx";

const MOST_ROWS = 50;

export function Spend() {
  const { spend } = fields.value;
  if (!spend)
    return (
      <section aria-labelledby="spend">
        <h2 id="spend">Spend</h2>
        <p class="summary">Not known yet.</p>
      </section>
    );
  const { share, inOneHour, hoursLeft } = forecastOf(spend);
  const ceiling = spend.budgetUsd === null ? "" : ` of ${formatUsd(spend.budgetUsd)}`;
  const rate =
    spend.usdPerHour > 0
      ? ` Sandboxes cost ${formatUsd(spend.usdPerHour)} an hour now: ${formatUsd(inOneHour)} in one hour${
          hoursLeft === null
            ? ""
            : `, and the ceiling in ${duration(hoursLeft * 3_600_000)}, at ${new Date(
                now.value + hoursLeft * 3_600_000,
              ).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`
        }. What models will cost is not in it.`
      : " No sandbox costs anything now.";
  const rows: [string, number][] = [
    ["Models", spend.modelUsd],
    ["Sandboxes", spend.computeUsd],
    ["In all", spend.usd],
    ["In one hour, at this rate", inOneHour],
  ];
  const top = Math.max(spend.budgetUsd ?? 0, inOneHour, 0.01);
  const width = (amount: number) => `${(100 * Math.min(1, Math.max(0, amount) / top)).toFixed(2)}%`;
  const dearest = () => [...jobs.value.values()].sort((a, b) => totalUsd(b) - totalUsd(a)).slice(0, MOST_ROWS);
  return (
    <Chart
      title="Spend"
      summary={`${formatUsd(spend.usd)}${ceiling} spent${share === null ? "" : ` (${Math.round(share * 100)} %)`}.${rate}`}
      chart={() => (
        <svg
          class="spend"
          role="img"
          aria-label={`Spend: models ${formatUsd(spend.modelUsd)}, sandboxes ${formatUsd(spend.computeUsd)}${ceiling}`}
        >
          <rect class="room" x="0" width={width(spend.budgetUsd ?? top)} y="4" height="20" />
          <rect class="forecast" x="0" width={width(inOneHour)} y="4" height="20" />
          <rect class="compute" x="0" width={width(spend.usd)} y="4" height="20" />
          <rect class="model" x="0" width={width(spend.modelUsd)} y="4" height="20" />
          <text x="0" y="42">
            <tspan class="model">■</tspan> models <tspan class="compute">■</tspan> sandboxes{" "}
            <tspan class="forecast">■</tspan> in one hour
          </text>
        </svg>
      )}
      table={() => (
        <>
          <Table
            caption="Spend of this session"
            head={["What", "USD"]}
            rows={rows.map(([name, amount]) => [name, formatUsd(amount)])}
          />
          <Table
            caption={`The ${MOST_ROWS} dearest jobs`}
            head={["Job", "Models", "Sandbox"]}
            rows={dearest().map(({ id, usd: { model, compute } }) => [
              <JobName key={id} id={id} />,
              formatUsd(model),
              formatUsd(compute),
            ])}
          />
        </>
      )}
    />
  );
}
