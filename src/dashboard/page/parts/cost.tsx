import { computed } from "@preact/signals";
import { oneLine } from "../../../shared/plain-text.ts";
import { formatUsd } from "../../../shared/usd.ts";
import { formatMean } from "../../../views/numbers.ts";
import { tickLabels } from "../../../views/tick-labels.ts";
import { some } from "../layout/format.ts";
import { bestForCost, isRanked, type LedgerRow } from "../layout/ledger.ts";
import { toScale, toSteps } from "../layout/scale.ts";
import { everyRow, ledger } from "../ledger.ts";
import { Axes, roomFor } from "./axes.tsx";
import { Chart, plotWidth, Table } from "./chart.tsx";
import { JobName } from "./job-name.tsx";

const [HEIGHT, BOTTOM] = [240, 24];
const VERDICTS = ["", "noise", "worse", "better"] as const;

const dots = computed(() => everyRow.value.filter(({ mean }) => Number.isFinite(mean)));
/** Those that are not ranked where others are: failed, stopped early, measured otherwise, or only claimed. */
const hollow = computed(() => (ledger.value?.direction ? dots.value.filter((row) => !isRanked(row)) : []));
const front = computed(() => (ledger.value?.direction ? bestForCost(dots.value, ledger.value.direction) : []));

export function Cost() {
  const all = dots.value;
  if (all.length === 0) return null;
  const best = front.value;
  const last = best.at(-1);
  const unranked = hollow.value.length;
  const metric = oneLine(ledger.value?.metric ?? "Number");
  return (
    <Chart
      title="Cost against metric"
      summary={`${some(all.length, "experiment")} by cost and ${metric}.${
        last
          ? ` No other beats ${best.length === 1 ? "the one" : `the ${best.length}`} on the line in both; the best costs ${formatUsd(last.entry.view.usd)}.`
          : ""
      }${unranked > 0 ? ` Hollow: ${unranked} without a rank, whose numbers are not comparable.` : ""}`}
      chart={() => <Dots all={all} best={best} />}
      table={() => (
        <Table
          caption={
            best.length > 0
              ? "Experiments that no other beats in both cost and number, the cheapest first"
              : "Experiments by cost and number"
          }
          head={["Experiment", "Cost", metric, "Verdict"]}
          rows={(best.length > 0 ? best : all.slice(0, 100)).map(({ entry: { view, label } }) => [
            <JobName key={view.id} id={view.job} name={label} />,
            formatUsd(view.usd),
            formatMean(view),
            view.verdict ?? "",
          ])}
        />
      )}
    />
  );
}

function Dots({ all, best }: { readonly all: readonly LedgerRow[]; readonly best: readonly LedgerRow[] }) {
  const width = plotWidth.value;
  const { x, y, left } = axesOf(all, width);
  const faint = new Set(hollow.value);
  const place = ({ entry, mean }: LedgerRow) => [x.scale(entry.view.usd), y.scale(mean)] as const;
  // One path for all dots of a kind: thousands of elements would make every change of the page slow.
  const pathOf = (rows: readonly LedgerRow[], dot: string) =>
    rows.map((row) => `M${place(row).map((at) => at.toFixed(1))}${dot}`).join("");
  return (
    <svg
      class="plot"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={`${some(all.length, "experiment")} by cost and number`}
    >
      <Axes x={x} y={y} left={left} width={width} height={HEIGHT} />
      <path
        class="rings"
        d={pathOf(
          all.filter((row) => !isRanked(row)),
          RING,
        )}
      />
      {VERDICTS.map((verdict) => (
        <path
          key={verdict}
          class={`dots ${verdict || "none"}`}
          d={pathOf(
            all.filter((row) => !faint.has(row) && (row.entry.view.verdict ?? "") === verdict),
            "h0",
          )}
        />
      ))}
      <path class="front" d={toSteps(best.map(place))} />
    </svg>
  );
}

/** A circle around its place. */
const RING = "m-3,0a3,3 0 1 0 6,0a3,3 0 1 0 -6,0";

function axesOf(all: readonly LedgerRow[], width: number) {
  let [low, high, dearest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const { mean, entry } of all) {
    low = Math.min(low, mean);
    high = Math.max(high, mean);
    dearest = Math.max(dearest, entry.view.usd);
  }
  const yScale = toScale([low, high], [HEIGHT - BOTTOM - 8, 10], 5, true);
  const y = { scale: yScale, labels: tickLabels(yScale.ticks) };
  const left = roomFor(y.labels);
  const xScale = toScale([0, dearest || 1], [left + 8, width - 24], width / 100);
  return { x: { scale: xScale, labels: xScale.ticks.map(formatUsd) }, y, left };
}
