import type { Scale } from "../layout/scale.ts";

/** About the width of a letter, in units of a drawing. */
const LETTER = 7;

/** Room for the labels at the left of a drawing. */
export const roomFor = (labels: readonly string[]): number =>
  16 + LETTER * Math.max(...labels.map(({ length }) => length), 0);

/** A scale with what its ticks are called. */
export interface Axis {
  readonly scale: Scale;
  readonly labels: readonly string[];
}

/** Lines across a drawing with their labels at the left, and the labels below it. */
export function Axes({
  x,
  y,
  left,
  width,
  height,
}: {
  readonly x: Axis;
  readonly y: Axis;
  readonly left: number;
  readonly width: number;
  readonly height: number;
}) {
  return (
    <>
      {y.scale.ticks.map((tick, index) => (
        <g key={tick}>
          <line class="grid" x1={left} x2={width} y1={y.scale(tick)} y2={y.scale(tick)} />
          <text x={left - 6} y={y.scale(tick) + 4} class="end">
            {y.labels[index]}
          </text>
        </g>
      ))}
      {x.scale.ticks.map((tick, index) => {
        const label = x.labels[index] as string;
        const isCut = x.scale(tick) + (LETTER * label.length) / 2 > width;
        return (
          <text key={tick} x={isCut ? width : x.scale(tick)} y={height - 6} class={isCut ? "end" : "middle"}>
            {label}
          </text>
        );
      })}
    </>
  );
}
