import { oneLine } from "../../shared/plain-text.ts";
import { formatMean } from "../../views/numbers.ts";
import type { ReportEntry } from "../report.ts";
import { type Html, html } from "./html.ts";
import { table } from "./table.ts";
import { count } from "./words.ts";

/** What a node of the tree says. */
export interface Node {
  readonly id: string;
  readonly parent: string | null;
  readonly label: string;
  readonly entry: ReportEntry | null;
}

interface Placed {
  readonly node: Node;
  readonly depth: number;
  readonly row: number;
  readonly parentRow: number | null;
}

const ROW = 20;
const INDENT = 22;
const WIDTH = 1100;
/** Indents past this one are not drawn deeper, so that a long line of descent stays on the page. */
const DEEPEST = 30;
const MOST_NODES = 400;

/** What was forked from what, with what came of it. Those that have neither parent nor child are in the leaderboard alone. */
export function lineage(nodes: readonly Node[], metric: string | null): Html {
  const placed = place(nodes);
  if (placed.length === 0) return html`<p>Nothing was started from another job's files.</p>`;
  const shown = placed.slice(0, MOST_NODES);
  const alone = nodes.length - placed.length;
  const height = shown.length * ROW + 8;
  return html`<figure><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Tree of ${count(shown.length, "job")} by what each started from; the table below has the same">
${shown.map(draw)}</svg><figcaption>Each job stands below the one whose files it started from${metric !== null && `, with its ${oneLine(metric, 64)}`}.${alone > 0 && ` ${count(alone, "job")} that neither started from another nor was started from are not in the tree.`}${placed.length > shown.length && ` The first ${MOST_NODES} of ${placed.length}.`}</figcaption></figure>
<details><summary>As a table</summary>${table(
    "Jobs and what they started from",
    [
      { title: "job" },
      { title: "started from" },
      { title: "what" },
      { title: "number", isNumber: true },
      { title: "verdict" },
    ],
    placed.map(({ node }) => [
      node.id,
      node.parent ?? "",
      oneLine(node.label, 200),
      node.entry ? formatMean(node.entry) : "",
      node.entry?.verdict ?? "",
    ]),
  )}</details>`;
}

function draw({ node, depth, row, parentRow }: Placed): Html {
  const x = 10 + Math.min(depth, DEEPEST) * INDENT;
  const y = row * ROW + 12;
  const edge =
    parentRow !== null && html`<path class="edge" d="M${x - INDENT} ${parentRow * ROW + 17}V${y}H${x - 5}"/>`;
  const { entry } = node;
  const facts = entry
    ? ` · ${formatMean(entry)} (${[entry.source, ...(entry.verdict ? [entry.verdict] : [])].join(", ")})`
    : "";
  return html`<g>${edge}<circle class="${toClass(entry)}" cx="${x}" cy="${y}" r="4.5"/><text x="${x + 10}" y="${y + 4}">${oneLine(node.label, 90)}${facts}</text></g>\n`;
}

const toClass = (entry: ReportEntry | null): string =>
  entry?.verdict === "better" ? "completed" : entry?.verdict === "worse" ? "failed" : "queued";

/** Parents first, each followed by what was started from it. A circle, which only damage can make, is cut. */
function place(nodes: readonly Node[]): Placed[] {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const children = new Map<string, Node[]>();
  for (const node of nodes)
    if (node.parent !== null && node.parent !== node.id)
      children.set(node.parent, [...(children.get(node.parent) ?? []), node]);
  const seen = new Set<string>();
  const placed: Placed[] = [];
  const visit = (root: Node) => {
    const stack: { readonly node: Node; readonly depth: number; readonly parentRow: number | null }[] = [
      { node: root, depth: 0, parentRow: null },
    ];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { node, depth, parentRow } = next;
      if (seen.has(node.id)) continue;
      seen.add(node.id);
      const row = placed.length;
      placed.push({ node, depth, row, parentRow });
      for (const child of [...(children.get(node.id) ?? [])].reverse())
        stack.push({ node: child, depth: depth + 1, parentRow: row });
    }
  };
  // Parents that are not kept stand for themselves.
  const missing = [...children.keys()].filter((id) => !known.has(id));
  for (const id of missing)
    visit({ id, parent: null, label: `${oneLine(id, 40)}, of which nothing is kept`, entry: null });
  const inTree = nodes.filter(({ id }) => children.has(id) || isChild(known.get(id)));
  for (const node of inTree) if (node.parent === null || !known.has(node.parent)) visit(node);
  for (const node of inTree) visit(node);
  return placed;
}

const isChild = (node: Node | undefined): boolean =>
  node !== undefined && node.parent !== null && node.parent !== node.id;
