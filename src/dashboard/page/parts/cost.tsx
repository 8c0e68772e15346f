import { computed } from "@preact/signals";
import { oneLine } from "../../../shared/plain-text.ts";
import { formatUsd } from "../../../shared/usd.ts";
import { formatValue } from "../../../views/numbers.ts";
import { some } from "../layout/format.ts";
import { bestForCost, type LedgerRow } from "../layout/ledger.ts";
import { toScale, toSteps } from "../layout/scale.ts";
import { everyRow, ledger } from "../ledger.ts";
import { Chart, plotWidth, Table } from "./chart.tsx";
import { JobName } from "./job-name.tsx";

const [HEIGHT, LEFT, BOTTOM] = [240, 64, 24];
const VERDICTS = ["", "noise", "worse", "better"] as const;

const dots = computed(() => everyRow.value.filter(({ mean }) => Number.isFinite(mean)));
const front = computed(() => (ledger.value?.direction ? bestForCost(dots.value, ledger.value.direction) : []));

export function Cost() {
  const all = dots.value;
  if (all.length === 0) return null;
  const best = front.value;
  const last = best.at(-1);
  return (
    <Chart
      title="Cost against metric"
      summary={`${some(all.length, "experiment")} by cost and ${oneLine(ledger.value?.metric ?? "")}.${
        last
          ? ` No other beats ${best.length === 1 ? "the one" : `the ${best.length}`} on the line in both; the best costs ${formatUsd(last.entry.view.usd)}.`
          : ""
      }`}
      chart={() => <Dots all={all} best={best} />}
      table={() => (
        <Table
          caption="Experiments that no other beats in both cost and number, the cheapest first"
          head={["Experiment", "Cost", oneLine(ledger.value?.metric ?? "Number"), "Verdict"]}
          rows={(best.length > 0 ? best : all.slice(0, 100)).map(({ entry: { view, label } }) => [
            <JobName key={view.id} id={view.job} name={label} />,
            formatUsd(view.usd),
            formatValue(view.mean),
            view.verdict ?? "",
          ])}
        />
      )}
    />
  );
}

function Dots({ all, best }: { readonly all: readonly LedgerRow[]; readonly best: readonly LedgerRow[] }) {
  const width = plotWidth.value;
  const [x, y] = scalesOf(all, width);
  // One path for all dots of a kind: thousands of elements would make every change of the page slow.
  const paths = VERDICTS.map((verdict) => ({
    verdict: verdict || "none",
    path: all
      .filter(({ entry }) => (entry.view.verdict ?? "") === verdict)
      .map(({ entry, mean }) => `M${x(entry.view.usd).toFixed(1)},${y(mean).toFixed(1)}h0`)
      .join(""),
  }));
  return (
    <svg
      class="plot"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={`${some(all.length, "experiment")} by cost and number`}
    >
      {y.ticks.map((tick) => (
        <g key={tick}>
          <line class="grid" x1={LEFT} x2={width} y1={y(tick)} y2={y(tick)} />
          <text x={LEFT - 6} y={y(tick) + 4} class="end">
            {formatValue(tick)}
          </text>
        </g>
      ))}
      {x.ticks.map((tick) => (
        <text key={tick} x={x(tick)} y={HEIGHT - 6} class="middle">
          {`$${tick}`}
        </text>
      ))}
      {paths.map(({ verdict, path }) => (
        <path key={verdict} class={`dots ${verdict}`} d={path} />
      ))}
      <path class="front" d={toSteps(best.map(({ entry, mean }) => [x(entry.view.usd), y(mean)]))} />
    </svg>
  );
}

function scalesOf(all: readonly LedgerRow[], width: number) {
  let [low, high, dearest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const { mean, entry } of all) {
    low = Math.min(low, mean);
    high = Math.max(high, mean);
    dearest = Math.max(dearest, entry.view.usd);
  }
  const x = toScale([0, dearest || 1], [LEFT + 8, width - 24], width / 100);
  return [x, toScale([low, high], [HEIGHT - BOTTOM - 8, 10], 5, true)] as const;
}
