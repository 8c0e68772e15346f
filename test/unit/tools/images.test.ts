import { expect, test } from "bun:test";
import { png } from "../../support/images.ts";
import { inWorld, type World } from "../jobs/runtime-world.ts";
import { errorOf, openTools, openWorker } from "./tool-host.ts";

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const base64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const JPEG = latin1("\xff\xd8\xff\xe0\0\x04ab\xff\xc2\0\x0b\x08\0\x03\0\x05\x01\x01\x11\0\xff\xda\0\x02xyz\xff\xd9");
const GIF = base64("R0lGODlhAgADAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7");
const WEBP = base64("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA");

async function openJob(world: World) {
  const host = openTools(world);
  const { jobID, sessionID } = await openWorker(world);
  return {
    ...host,
    async read(bytes: Uint8Array | string, path = "plot") {
      const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
      await world.runtime.lifecycle.live(jobID)?.writeFile(path, content);
      return host.call("sandbox_read", { path }, sessionID);
    },
  };
}

test(
  "an image is attached as it is, whatever its name, and described in words without base64",
  inWorld(async (world) => {
    const { read } = await openJob(world);
    for (const [bytes, mime, size] of [
      [png(3, 2), "image/png", "3 × 2"],
      [JPEG, "image/jpeg", "5 × 3"],
      [GIF, "image/gif", "2 × 3"],
      [WEBP, "image/webp", "1 × 1"],
    ] as const)
      for (const path of ["plot", "out/plot.txt", "a.svg"]) {
        const { output, metadata, attachments } = await read(bytes, path);
        expect(attachments).toEqual([{ mime, name: path.replace("out/", ""), bytes: expect.anything() }]);
        expect(Buffer.from(attachments?.[0]?.bytes ?? []).equals(Buffer.from(bytes))).toBe(true);
        expect(output).toMatch(
          new RegExp(`^${path} is a \\w+ image of ${size} pixels, ${bytes.length} bytes\\. It is attached\\.$`),
        );
        expect(metadata).toMatchObject({ path, mime, shown: true });
        expect(JSON.stringify(metadata).length).toBeLessThan(200);
      }
    const pdf = await read("%PDF-1.7\n…", "paper");
    expect(pdf.attachments?.[0]).toMatchObject({ mime: "application/pdf", name: "paper" });
  }),
);

test(
  "an image that servers would refuse is not attached: damaged, too large, of too many pixels",
  inWorld(async (world) => {
    const { read } = await openJob(world);
    const whole = Buffer.from(png(64, 64));
    const flipped = Buffer.from(whole);
    flipped[45] = (flipped[45] ?? 0) ^ 0xff;
    for (const [bytes, why] of [
      [whole.subarray(0, whole.length - 20), "damaged or cut short"],
      [whole.subarray(0, 20), "damaged or cut short"],
      [flipped, "damaged or cut short"],
      [latin1("\x89PNG\r\n\x1a\nnonsense"), "damaged or cut short"],
      [JPEG.subarray(0, JPEG.length - 2), "damaged or cut short"],
      [JPEG.subarray(0, 12), "damaged or cut short"],
      [GIF.subarray(0, 11), "damaged or cut short"],
      [WEBP.subarray(0, 33), "damaged or cut short"],
      [png(9_000, 1), "8000 pixels on a side. Make a smaller copy"],
      [Buffer.concat([whole, Buffer.alloc(3_750_000)]), "at most 3750000 bytes. Make a smaller copy"],
    ] as const) {
      const { output, attachments } = await read(bytes);
      expect([attachments, output]).toEqual([undefined, expect.stringContaining(why)]);
    }
    const huge = await read(Buffer.concat([whole, Buffer.alloc(10_500_000)]));
    expect(errorOf(huge)?.message).toContain("larger than 10 MiB; it is a PNG image");
  }),
);

test(
  "a model that takes no images is told the size in words; where the host does not say, the image is attached",
  inWorld(async (world) => {
    const { read, sight } = await openJob(world);
    sight.sees = false;
    const told = await read(png(640, 480));
    expect(told.attachments).toBeUndefined();
    expect(told.output).toContain("a PNG image of 640 × 480 pixels");
    expect(told.output).toContain("your model takes no images");
    expect((await read("%PDF-1.7\n")).output).toContain("pdftotext");
    sight.sees = null;
    expect((await read(png(640, 480))).attachments).toHaveLength(1);
  }),
);

test(
  "text is text though its name is an image's, and other kinds of image are named",
  inWorld(async (world) => {
    const { read } = await openJob(world);
    expect((await read('<svg xmlns="x"/>', "a.png")).output).toBe('1\t<svg xmlns="x"/>');
    expect((await read("", "b.png")).output).toBe("(empty file)");
    for (const [
      bytes,
      name,
    ] of [["BM\xf6\0\0\0\0\0", "BMP image"], ["II*\0\x08\0\0\0\xff\x01", "TIFF image"], ["\0\0\0\x20ftypavif\xff", "AVIF image"]] as const) // biome-ignore format: a list
      expect((await read(latin1(bytes))).output).toContain(`${name}; models see PNG, JPEG, GIF and WebP`);
  }),
);
