import { expect, test } from "bun:test";
import { readScreen } from "../../pictures/screen-cells.ts";
import { choosePalette } from "../../pictures/small-png.ts";
import { drawTerminal } from "../../pictures/terminal-svg.ts";

test("a screen is read with its colours, which last until they are changed", () => {
  const [first = [], second = []] = readScreen(
    "\x1b[1;38;2;1;2;255mA\x1b[48;5;196m\x1b[22m●\n\x1b[39mé\x1b[0m\x1b[91m日",
  );
  const look = (cells: typeof first) =>
    cells.map(({ text, foreground, background, isBold }) => [text, foreground, background, isBold]);
  expect(look(first)).toEqual([
    ["A", "#0102ff", null, true],
    ["●", "#0102ff", "#ff0000", false],
  ]);
  expect(look(second)).toEqual([
    ["é", null, "#ff0000", false],
    ["日", "#f14c4c", null, false],
  ]);
});

test("a terminal is drawn with a cell for each column, wide characters two, and its text is no markup", () => {
  const { svg, width, height } = drawTerminal("\x1b[48;2;0;0;9m日<b>\x1b[38;2;9;0;0m┃\n");
  expect([width, height]).toEqual([6 * 8.5 + 20, 17 + 20]);
  expect(svg).not.toContain("<b>");
  expect(svg).toMatch(/<rect x="[\d.]+" y="10" width="[\d.]+" height="17" fill="#090000"\/>/);
});

test("a rare colour that is unlike all others keeps its place in the palette", () => {
  const greys = Array.from({ length: 60_000 }, (_, at) => 0x010101 * Math.floor(at / 300));
  const { palette, indexOf } = choosePalette(Uint32Array.from([...greys, 0xff0000]));
  expect(palette.length).toBe(64);
  expect(palette[indexOf(0xff0000)]).toBe(0xff0000);
});
