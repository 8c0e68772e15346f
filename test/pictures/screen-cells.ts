/** A screen as tmux tells it: text with the sequences that set colours, as a grid of cells. */
export interface Cell {
  /** One character, as wide as one cell or two. */
  readonly text: string;
  readonly foreground: string | null;
  readonly background: string | null;
  readonly isBold: boolean;
  readonly isItalic: boolean;
  readonly isUnderlined: boolean;
}

type Style = Omit<Cell, "text">;

const PLAIN: Style = { foreground: null, background: null, isBold: false, isItalic: false, isUnderlined: false };

/** @param screen of `tmux capture-pane -e`, lines of text */
export function readScreen(screen: string): readonly (readonly Cell[])[] {
  let style = PLAIN;
  return screen
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => {
      const cells: Cell[] = [];
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what begins a sequence
      for (const [, codes, text = ""] of line.matchAll(/\x1b\[([\d;:]*)m|([^\x1b])/gu)) {
        if (codes === undefined) cells.push({ text, ...style });
        else style = applyCodes(style, codes === "" ? [0] : codes.split(/[;:]/).map(Number));
      }
      return cells;
    });
}

function applyCodes(before: Style, codes: readonly number[]): Style {
  let style = before;
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] as number;
    if (code === 38 || code === 48) {
      const isDirect = codes[at + 1] === 2;
      const colour = isDirect ? toHex(codes.slice(at + 2, at + 5)) : ofPalette(codes[at + 2] ?? 0);
      style = code === 38 ? { ...style, foreground: colour } : { ...style, background: colour };
      at += isDirect ? 4 : 2;
    } else style = applyCode(style, code);
  }
  return style;
}

function applyCode(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, isBold: true };
  if (code === 22) return { ...style, isBold: false };
  if (code === 3 || code === 23) return { ...style, isItalic: code === 3 };
  if (code === 4 || code === 24) return { ...style, isUnderlined: code === 4 };
  if (code === 7) return { ...style, foreground: style.background, background: style.foreground };
  if (code === 39) return { ...style, foreground: null };
  if (code === 49) return { ...style, background: null };
  if (code >= 30 && code <= 37) return { ...style, foreground: ofPalette(code - 30) };
  if (code >= 40 && code <= 47) return { ...style, background: ofPalette(code - 40) };
  if (code >= 90 && code <= 97) return { ...style, foreground: ofPalette(code - 82) };
  throw new Error(`The picture of a terminal does not know the code ${code}.`);
}

const NAMED = [
  ...["#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5"],
  ...["#666666", "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff"],
];

/** The colours that every terminal with 256 has. */
function ofPalette(index: number): string {
  if (index < NAMED.length) return NAMED[index] as string;
  if (index >= 232) return toHex(Array<number>(3).fill(8 + (index - 232) * 10));
  const level = (power: number): number => [0, 95, 135, 175, 215, 255][Math.floor((index - 16) / power) % 6] as number;
  return toHex([level(36), level(6), level(1)]);
}

const toHex = (channels: readonly number[]): string =>
  `#${channels.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
