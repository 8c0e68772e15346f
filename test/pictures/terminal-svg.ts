import { type Cell, readScreen } from "./screen-cells.ts";

/** Units of a cell: DejaVu Sans Mono at `SIZE` fits, and a picture of twice the scale has whole pixels. */
const [WIDTH, HEIGHT, SIZE] = [8.5, 17, 14];
const BASELINE = 13;
/** Around the screen, in cells' units. */
const MARGIN = 10;

export interface Drawing {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

/** Draws a screen as a terminal does: each character in its cell, lines and blocks as shapes without gaps. */
export function drawTerminal(screen: string): Drawing {
  const rows = readScreen(screen);
  const base = mostFrequent(rows.flatMap((cells) => cells.flatMap(({ background }) => background ?? [])));
  const columns = Math.max(...rows.map((cells) => sum(cells.map(widthOf))));
  const [width, height] = [columns * WIDTH + 2 * MARGIN, rows.length * HEIGHT + 2 * MARGIN];
  const drawn = rows.flatMap((cells, row) => {
    let column = 0;
    return cells.map((cell) => {
      const [x, y] = [MARGIN + column * WIDTH, MARGIN + row * HEIGHT];
      column += widthOf(cell);
      return { behind: drawBackground(cell, x, y, base), front: drawCharacter(cell, x, y) };
    });
  });
  const style = `font:${SIZE}px 'DejaVu Sans Mono',monospace;white-space:pre`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" style="${style}">
<rect width="100%" height="100%" fill="${base}"/>
<g shape-rendering="crispEdges">${drawn.map(({ behind }) => behind).join("")}</g>
${drawn.map(({ front }) => front).join("")}</svg>`;
  return { svg, width, height };
}

const widthOf = ({ text }: Cell): number => Bun.stringWidth(text);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

function mostFrequent(colours: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0] ?? "#000000";
}

const drawBackground = (cell: Cell, x: number, y: number, base: string): string =>
  cell.background === null || cell.background === base
    ? ""
    : rect(x, y, widthOf(cell) * WIDTH, HEIGHT, cell.background);

function drawCharacter(cell: Cell, x: number, y: number): string {
  if (cell.text === " ") return "";
  const colour = cell.foreground ?? "#808080";
  const shapes = shapesOf(cell.text);
  if (shapes)
    return `<g shape-rendering="crispEdges">${shapes
      .map(([left, top, width, height]) =>
        rect(x + left * WIDTH, y + top * HEIGHT, width * WIDTH, height * HEIGHT, colour),
      )
      .join("")}</g>`;
  const style = [
    cell.isBold ? ' font-weight="700"' : "",
    cell.isItalic ? ' font-style="italic"' : "",
    cell.isUnderlined ? ' text-decoration="underline"' : "",
  ].join("");
  return `<text x="${x}" y="${y + BASELINE}" fill="${colour}"${style}>${toMarkup(cell.text)}</text>`;
}

type Shape = readonly [left: number, top: number, width: number, height: number];

/** Lines and blocks, in parts of a cell. Fonts leave gaps between them. */
function shapesOf(character: string): readonly Shape[] | null {
  const eighths = "▁▂▃▄▅▆▇█".indexOf(character) + 1;
  if (eighths > 0) return [[0, 1 - eighths / 8, 1, eighths / 8]];
  const known: Readonly<Record<string, readonly Shape[]>> = {
    "⬝": [[0.35, 0.45, 0.3, 0.15]],
    "■": [[0.1, 0.3, 0.8, 0.4]],
    "▀": [[0, 0, 1, 0.5]],
    "▌": [[0, 0, 0.5, 1]],
    "▐": [[0.5, 0, 0.5, 1]],
    "┃": [[0.4, 0, 0.2, 1]],
    "╹": [[0.4, 0, 0.2, 0.5]],
    "╻": [[0.4, 0.5, 0.2, 0.5]],
    "│": [[0.45, 0, 0.1, 1]],
    "─": [[0, 0.47, 1, 0.06]],
    "━": [[0, 0.45, 1, 0.12]],
    "├": [
      [0.45, 0, 0.1, 1],
      [0.45, 0.47, 0.55, 0.06],
    ],
    "└": [
      [0.45, 0, 0.1, 0.53],
      [0.45, 0.47, 0.55, 0.06],
    ],
    "┼": [
      [0.45, 0, 0.1, 1],
      [0, 0.47, 1, 0.06],
    ],
  };
  return known[character] ?? null;
}

const rect = (x: number, y: number, width: number, height: number, colour: string): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${colour}"/>`;

const toMarkup = (text: string): string => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
