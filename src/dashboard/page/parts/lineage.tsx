import { computed } from "@preact/signals";
import { oneLine } from "../../../shared/plain-text.ts";
import { formatUsd } from "../../../shared/usd.ts";
import { MARKS, some, totalUsd } from "../layout/format.ts";
import { type TreeNode, toLineage } from "../layout/lineage.ts";
import { showJob } from "../selection.ts";
import { jobs } from "../store.ts";
import { Chart } from "./chart.tsx";
import { JobName, Mark } from "./job-name.tsx";

const [ACROSS, DOWN, MOST] = [220, 22, 400];
const MOST_LETTERS = 24;

const lineage = computed(() =>
  toLineage(
    [...jobs.value.values()].map((job) => ({ id: job.id, parent: job.parent ?? job.startedBy, usd: totalUsd(job) })),
    { most: MOST, across: ACROSS, down: DOWN },
  ),
);

export function LineageTree() {
  const { nodes, single, left } = lineage.value;
  if (nodes.length === 0) return null;
  const families = nodes.filter(({ parent }) => parent === null).length;
  return (
    <Chart
      title="Lineage"
      summary={`${some(nodes.length, "job")} in ${families} ${families === 1 ? "family" : "families"}, by what each started from; ${single} ${single === 1 ? "stands" : "stand"} alone${
        left > 0 ? `, and ${left} more in families not drawn` : ""
      }.`}
      chart={() => <Tree nodes={nodes} />}
      table={() => <List nodes={nodes} />}
    />
  );
}

const nameOf = (id: string): string => oneLine(jobs.value.get(id)?.description ?? id, 200);

const cut = (text: string) => (text.length > MOST_LETTERS ? `${[...text].slice(0, MOST_LETTERS - 1).join("")}…` : text);

function Tree({ nodes }: { readonly nodes: readonly TreeNode[] }) {
  const places = new Map(nodes.map((node) => [node.id, node]));
  const width = Math.max(...nodes.map(({ x }) => x)) + ACROSS;
  const height = Math.max(...nodes.map(({ y }) => y)) + DOWN;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <section class="scroll tree" aria-label="Lineage as a tree" tabIndex={0}>
      <svg width={width} height={height} role="img" aria-label={`Tree of ${nodes.length} jobs; its table lists them`}>
        {nodes.map(({ id, parent, x, y }) => {
          const from = parent === null ? undefined : places.get(parent);
          if (!from) return null;
          // From the end of its name, whose width is near enough to this.
          const x1 = from.x + 20 + 6.3 * Math.min(MOST_LETTERS, nameOf(from.id).length);
          const [y1, y2] = [from.y + DOWN / 2, y + DOWN / 2];
          const middle = Math.max(x1, x - 16);
          return <path key={id} class="link" d={`M${x1},${y1}C${middle},${y1} ${x1},${y2} ${middle},${y2}H${x - 3}`} />;
        })}
        {nodes.map(({ id, x, y }) => {
          const job = jobs.value.get(id);
          return (
            // biome-ignore lint/a11y/noStaticElementInteractions: by keys a job is reached in the table
            <g key={id} class="node" transform={`translate(${x},${y + DOWN / 2 + 4})`} onClick={() => showJob(id)}>
              <text class={`mark ${job?.state ?? ""}`}>{job ? MARKS[job.state] : ""}</text>
              <text x="14">{cut(nameOf(id))}</text>
            </g>
          );
        })}
      </svg>
    </section>
  );
}

function List({ nodes }: { readonly nodes: readonly TreeNode[] }) {
  return (
    <table>
      <caption class="unseen">Jobs, each below the one it started from</caption>
      <thead>
        <tr>
          <th scope="col">Job</th>
          <th scope="col">State</th>
          <th scope="col">Started from</th>
          <th scope="col">Jobs made from it</th>
          <th scope="col">Cost of all of these</th>
        </tr>
      </thead>
      <tbody>
        {nodes.map(({ id, parent, depth, size, usd: cost }) => {
          const job = jobs.value.get(id);
          return (
            <tr key={id}>
              <th scope="row" style={{ paddingLeft: `${8 + 16 * Math.min(depth, 12)}px` }}>
                <JobName id={id} />
              </th>
              <td>{job && <Mark state={job.state} />}</td>
              <td>{parent === null ? "" : <JobName id={parent} />}</td>
              <td class="number">{size - 1}</td>
              <td class="number">{formatUsd(cost)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
