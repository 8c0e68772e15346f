import { countText } from "../../../core/experiments/missing.ts";
import { oneLine } from "../../../shared/plain-text.ts";
import { formatUsd } from "../../../shared/usd.ts";
import type { ExperimentView } from "../../../views/experiment-view.ts";
import { standingWord } from "../../../views/leaderboard.ts";
import { formatMean, formatNumber } from "../../../views/numbers.ts";
import { difference, some } from "../layout/format.ts";
import { LEDGER_ORDERS, type LedgerOrder } from "../layout/ledger.ts";
import { everyRow, filter, ledger, ledgerTrouble, metric, order, rows } from "../ledger.ts";
import { JobName, Words } from "./job-name.tsx";
import { Rows } from "./rows.tsx";
import { Gap } from "./timeline.tsx";

const ROW = 28;
const MOST = 16;

const HEAD = [
  "Rank",
  "Experiment",
  "Mean",
  "±",
  "n",
  "Against parent",
  "Against best",
  "Verdict",
  "Measured",
  "Cost",
  "GPU",
];
const NUMBERS: ReadonlySet<string> = new Set(["Rank", "Mean", "±", "n", "Against parent", "Against best", "Cost"]);

const ORDER_NAMES: Readonly<Record<LedgerOrder, string>> = {
  rank: "rank",
  mean: "largest number",
  cost: "highest cost",
  newest: "newest",
};

export function Ledger() {
  const found = ledger.value;
  return (
    <section aria-labelledby="ledger">
      <header class="head">
        <h2 id="ledger">Experiments</h2>
        <div class="tools">
          <MetricChoice />
          <select
            aria-label="Order of the experiments"
            value={order.value}
            onChange={(event) => {
              order.value = event.currentTarget.value as LedgerOrder;
            }}
          >
            {LEDGER_ORDERS.map((name) => (
              <option key={name} value={name}>{`by ${ORDER_NAMES[name]}`}</option>
            ))}
          </select>
          <input
            type="search"
            placeholder="Filter experiments"
            aria-label="Filter experiments by name, parameter, verdict, job or GPU"
            value={filter.value}
            onInput={(event) => {
              filter.value = event.currentTarget.value;
            }}
          />
        </div>
      </header>
      <p class="summary" role="status">
        {ledgerTrouble.value ?? summary()}
      </p>
      {found && found.entries.length > 0 && <Entries />}
    </section>
  );
}

function summary(): string {
  const found = ledger.value;
  if (!found || found.metric === null) return "No experiment has a number yet.";
  const better =
    found.direction === null
      ? "nobody said which direction is better"
      : found.direction === "min"
        ? "less is better"
        : "more is better";
  const noise = found.noise
    ? `, noise ${formatNumber(found.noise.value, 2)} from ${found.noise.n} ${found.noise.source}`
    : "";
  const shown = filter.value.trim() ? `; ${rows.value.length} shown` : "";
  return `${some(found.count, "experiment")} in ${oneLine(found.metric)}, ${found.ranked} ranked; ${better}${noise}${shown}.`;
}

export function MetricChoice() {
  const found = ledger.value;
  if (!found || found.metric === null) return null;
  return (
    <select
      aria-label="Metric"
      value={found.metric}
      onChange={(event) => {
        metric.value = event.currentTarget.value;
      }}
    >
      {[found.metric, ...found.otherMetrics].map((name) => (
        <option key={name} value={name}>
          {oneLine(name)}
        </option>
      ))}
    </select>
  );
}

function Entries() {
  const list = rows.value;
  return (
    <Rows total={list.length} height={ROW} most={MOST} label="Experiments, one a row">
      {({ first, end, above, below }) => (
        <table class="ledger" aria-rowcount={list.length + 1}>
          <caption class="unseen">{`${list.length} of ${some(everyRow.value.length, "experiment")}`}</caption>
          <thead>
            <tr aria-rowindex={1}>
              {HEAD.map((name) => (
                <th key={name} scope="col" class={NUMBERS.has(name) ? "number" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <Gap height={above} />
            {list.slice(first, end).map(({ entry, entry: { view, label } }, index) => (
              <tr key={`${view.id} ${view.source}`} aria-rowindex={first + index + 2} style={{ height: `${ROW}px` }}>
                <td class="number">{view.rank ?? "–"}</td>
                <th scope="row" class="what">
                  <JobName id={view.job} name={[label, paramsOf(view.params)].filter(Boolean).join(" ")} />
                </th>
                <td class="number">{formatMean(withoutDeviation(view))}</td>
                <td class="number">{view.deviation === undefined ? "" : formatNumber(view.deviation, 2)}</td>
                <td class="number">{countText(view)}</td>
                <td class="number">{difference(view.deltaParent)}</td>
                <td class="number">{difference(view.deltaBest)}</td>
                <td class={`verdict ${view.verdict ?? ""}`}>{view.verdict ?? ""}</td>
                <td>
                  {[view.source, standingWord(entry), entry.isSameBenchmark ? "" : "earlier benchmark"]
                    .filter(Boolean)
                    .join(", ")}
                </td>
                <td class="number">{formatUsd(view.usd)}</td>
                <td>
                  <Words text={view.gpu ?? ""} />
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

/** The deviation has a column of its own. */
const withoutDeviation = ({ deviation: _, ...view }: ExperimentView) => view;

const paramsOf = (params: Readonly<Record<string, string | number>> | undefined): string =>
  Object.entries(params ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
