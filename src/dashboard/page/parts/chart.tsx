import { signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

const narrow = matchMedia("(max-width: 640px)");
/** Units across a drawing. It fills its place, so on a phone fewer of them keep its words readable. */
export const plotWidth = signal(narrow.matches ? 360 : 600);
narrow.addEventListener("change", () => {
  plotWidth.value = narrow.matches ? 360 : 600;
});

/**
 * A part of the page: its heading, and a chart with the same as a table, which the button shows in its place. The chart is
 * one picture for a screen reader, with its message as its name; whatever it shows can be reached in the table.
 */
export function Chart({
  title,
  summary,
  chart,
  table,
  tools,
}: {
  readonly title: string;
  /** What the chart says, in a sentence. */
  readonly summary: string;
  readonly chart: () => ComponentChildren;
  readonly table: () => ComponentChildren;
  readonly tools?: ComponentChildren;
}) {
  const isTable = useSignal(false);
  const id = useId();
  return (
    <section aria-labelledby={id}>
      <header class="head">
        <h2 id={id}>{title}</h2>
        <div class="tools">
          {tools}
          <button
            type="button"
            aria-pressed={isTable.value}
            onClick={() => {
              isTable.value = !isTable.value;
            }}
          >
            {`Table of ${title.toLowerCase()}`}
          </button>
        </div>
      </header>
      <p class="summary">{summary}</p>
      {isTable.value ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <section class="scroll" aria-label={`${title}, as a table`} tabIndex={0}>
          {table()}
        </section>
      ) : (
        chart()
      )}
    </section>
  );
}

/** @param rows cells; the first of each names the row */
export function Table({
  head,
  rows,
  caption,
}: {
  readonly head: readonly string[];
  readonly rows: readonly (readonly ComponentChildren[])[];
  readonly caption: string;
}) {
  return (
    <table>
      <caption class="unseen">{caption}</caption>
      <thead>
        <tr>
          {head.map((name) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([first, ...cells], row) => (
          <tr key={row}>
            <th scope="row">{first}</th>
            {cells.map((cell, column) => (
              <td key={column}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
