import { crc32, deflateSync } from "node:zlib";
import type { Page } from "playwright-core";

interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and opacity of each. */
  readonly data: Uint8Array;
}

/** More would cost size and show nothing. */
const MOST_COLOURS = 64;

/** Writes a picture again with a palette: a third of the size, because a screen has few colours. */
export async function shrinkPng(page: Page, png: Buffer): Promise<Buffer> {
  const { width, height, data } = await decode(page, png);
  const colours = new Uint32Array(width * height).map(
    (_, at) => ((data[at * 4] as number) << 16) | ((data[at * 4 + 1] as number) << 8) | (data[at * 4 + 2] as number),
  );
  const { palette, indexOf } = choosePalette(colours);
  const rows = Buffer.alloc((width + 1) * height); // each row begins with its filter: none
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) rows[y * (width + 1) + x + 1] = indexOf(colours[y * width + x] as number);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8); // bits of an index, with a palette
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(palette.flatMap(channelsOf))),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The browser reads what it has written. */
async function decode(page: Page, png: Buffer): Promise<Pixels> {
  const source = `(async () => {
    const answer = await fetch("data:image/png;base64,${png.toString("base64")}");
    const bitmap = await createImageBitmap(await answer.blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const parts = [];
    for (let at = 0; at < data.length; at += 32768) parts.push(String.fromCharCode(...data.subarray(at, at + 32768)));
    return { width: bitmap.width, height: bitmap.height, text: btoa(parts.join("")) };
  })()`;
  const { width, height, text } = (await page.evaluate(source)) as { width: number; height: number; text: string };
  return { width, height, data: Buffer.from(text, "base64") };
}

/**
 * Frequent colours, and rare ones that are unlike all others, such as a red mark, stay as they are; each other one becomes
 * the nearest of them.
 */
export function choosePalette(colours: Uint32Array): {
  readonly palette: readonly number[];
  readonly indexOf: (colour: number) => number;
} {
  const counts = new Map<number, number>();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const left = [...counts].map(([colour, count]) => ({ colour, weight: Math.sqrt(count), away: Infinity }));
  left.sort((one, other) => other.weight - one.weight);
  const palette: number[] = [];
  for (let next = left[0]; next && next.away > 0 && palette.length < MOST_COLOURS; ) {
    palette.push(next.colour);
    for (const one of left) one.away = Math.min(one.away, Math.sqrt(distance(one.colour, next.colour)));
    next = left.reduce((best, one) => (one.weight * one.away > best.weight * best.away ? one : best));
  }
  const found = new Map(palette.map((colour, index) => [colour, index]));
  const indexOf = (colour: number): number => {
    const known = found.get(colour);
    if (known !== undefined) return known;
    let best = 0;
    for (let index = 1; index < palette.length; index++)
      if (distance(palette[index] as number, colour) < distance(palette[best] as number, colour)) best = index;
    found.set(colour, best);
    return best;
  };
  return { palette, indexOf };
}

const channelsOf = (colour: number): [number, number, number] => [colour >> 16, (colour >> 8) & 255, colour & 255];

function distance(one: number, other: number): number {
  const [a, b] = [channelsOf(one), channelsOf(other)];
  return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
