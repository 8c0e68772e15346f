import { expect, test } from "bun:test";
import { DiskWatch, type Watched } from "../../../../src/sandboxes/local/disk-watch.ts";
import { shortage } from "../../../../src/sandboxes/local/free-disk-space.ts";
import { addSizes, parseMeasures, type TreeSize } from "../../../../src/sandboxes/local/tree-measure.ts";
import { createFakeClock, settle } from "../../../support/fake-clock.ts";

const MiB = 1024 * 1024;
const LIMITS = { processes: 9, memoryMiB: 9, diskMiB: 100, files: 10_000 };

/** A disk watch over sandboxes with these sizes, on a machine with plenty of free space. */
function watchOver(sizes: Record<string, TreeSize | "fails" | "never">) {
  const clock = createFakeClock();
  const free = { bytes: 10_000 * MiB, files: 1_000_000 };
  const ended: Record<string, string> = {};
  /** The sandboxes that each measurement was of. */
  const measured: (readonly string[])[] = [];
  const deleted: Record<string, TreeSize> = {};
  let maintained = 0;
  let atOnce = 0;
  let most = 0;
  const live = () =>
    Object.keys(sizes)
      .filter((id) => !(id in ended))
      .map(
        (id): Watched => ({
          id,
          dirs: { root: id, workspace: "", home: "", tmp: "", logs: "" },
          limits: LIMITS,
          isolation: {
            alive: () => !(id in ended),
            maintain: async () => void maintained++,
            deletedOpenFiles: async () => deleted[id] ?? { bytes: 0, files: 0 },
          },
          halt: async (reason) => {
            ended[id] = reason?.message ?? "";
          },
        }),
      );
  const watch = new DiskWatch({
    clock,
    log: () => {},
    live,
    reserve: async () => ({ bytes: 512 * MiB, files: 10_000 }),
    free: async () => ({ ...free }),
    async measure(ids, signal) {
      measured.push(ids);
      most = Math.max(most, ++atOnce);
      try {
        if (ids.some((id) => sizes[id] === "never"))
          await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
        if (ids.length === 1 && sizes[ids[0] ?? ""] === "fails") throw new Error("bwrap failed");
        return ids.map((id) => (typeof sizes[id] === "object" ? sizes[id] : null));
      } finally {
        atOnce -= 1;
      }
    },
  });
  watch.start();
  return { clock, free, ended, measured, watch, sizes, deleted, maintained: () => maintained, most: () => most };
}

const small = { bytes: MiB, files: 10 };

test("deleted files that are still open count, both for a sandbox's limit and for finding the largest one", async () => {
  const over = watchOver({ a: small, b: small });
  over.deleted.a = { bytes: 200 * MiB, files: 4 };
  await over.clock.advance(1000);
  await settle();
  expect(over.ended).toEqual({ a: expect.stringMatching(/it used 201 MiB of disk/) });
  const full = watchOver({ a: { bytes: 60 * MiB, files: 1 }, b: small });
  full.deleted.b = { bytes: 80 * MiB, files: 1 };
  full.free.bytes = 100 * MiB;
  await full.clock.advance(1000);
  await settle();
  expect(full.ended).toEqual({ b: expect.stringMatching(/nearly full and it was the largest sandbox/) });
});

test("ends only the sandbox with more files than its limit, however small they are", async () => {
  const world = watchOver({ a: small, b: { bytes: MiB, files: 20_000 } });
  await world.clock.advance(2_000);
  expect(world.ended).toEqual({
    b: "The sandbox was ended: it made 20000 files (inodes), more than its limit of 10000.",
  });
  await world.watch.stop();
});

test("measures again as soon as a noticeable number of inodes was used", async () => {
  const world = watchOver({ a: small });
  await world.clock.advance(1_500);
  expect(world.measured.length).toBe(1);
  await world.clock.advance(5_000);
  expect(world.measured.length).toBe(1);
  world.free.files -= 2_000;
  world.sizes.a = { bytes: MiB, files: 12_000 };
  await world.clock.advance(1_000);
  expect(Object.keys(world.ended)).toEqual(["a"]);
  await world.watch.stop();
});

test("ends the sandbox with the most files when inodes run out, unless it has few", async () => {
  const world = watchOver({ a: small, b: { bytes: 2 * MiB, files: 9_000 }, c: { bytes: 90 * MiB, files: 500 } });
  world.free.files = 5_000;
  await world.clock.advance(2_000);
  expect(world.ended).toEqual({
    b: "The sandbox was ended: the machine's file system has nearly no inodes left and it was the largest sandbox (9000 files).",
  });
  const alone = watchOver({ a: small });
  alone.free.files = 5_000;
  await alone.clock.advance(200_000);
  expect(alone.ended).toEqual({});
  await Promise.all([world.watch.stop(), alone.watch.stop()]);
});

for (const how of ["fails", "never"] as const) {
  const what = how === "fails" ? "cannot be measured" : "takes too long to be measured";
  test(`a sandbox that ${what} is ended after a minute and a half, while others are measured and checks never overlap`, async () => {
    const world = watchOver({ a: how, b: small });
    await world.clock.advance(85_000);
    expect(world.ended).toEqual({});
    await world.clock.advance(300_000);
    expect(world.ended).toEqual({ a: expect.stringContaining("times in a row") });
    expect([world.most(), world.measured.some((ids) => ids.includes("b"))]).toEqual([1, true]);
    // The isolations are maintained meanwhile.
    expect(world.maintained()).toBeGreaterThan(300);
    await world.watch.stop();
  });
}

test("a successful measurement resets the count of failures", async () => {
  const world = watchOver({ a: "fails" });
  await world.clock.advance(80_000);
  world.sizes.a = small;
  await world.clock.advance(15_000);
  world.sizes.a = "fails";
  await world.clock.advance(90_000);
  expect(world.ended).toEqual({});
  await world.watch.stop();
});

test("stopping aborts a measurement under way", async () => {
  const world = watchOver({ a: "never" });
  await world.clock.advance(1_500);
  await world.watch.stop();
  await settle();
  expect([world.ended, world.clock.pending()]).toEqual([{}, 0]);
});

test("all sandboxes are measured by one program, and alone only those that it did not measure", async () => {
  const world = watchOver({ a: small, b: "fails", c: small, d: small });
  await world.clock.advance(1_500);
  expect(world.measured).toEqual([["a", "b", "c", "d"], ["b"]]);
  world.measured.length = 0;
  world.sizes.b = { bytes: MiB, files: 20_000 };
  await world.clock.advance(10_000);
  expect(world.measured).toEqual([["a", "c", "d"], ["b"]]);
  expect(Object.keys(world.ended)).toEqual(["b"]);
  await world.watch.stop();
});

test("an incomplete answer of du is no measurement, not zero files", () => {
  const said =
    "0 kibibytes 12\t/tree/0\n0 files 7\t/tree/0\n1 kibibytes \n1 files \n2 kibibytes 12\n2 files \n3 kibibytes \n3 files 7\n";
  const whole = { bytes: 12 * 1024, files: 7 };
  expect(parseMeasures(said, 5)).toEqual([whole, null, null, null, null]);
  expect(addSizes([whole, whole])).toEqual({ bytes: 24 * 1024, files: 14 });
  expect(() => addSizes([whole, null])).toThrow("could not be counted");
});

test("space is short when either bytes or inodes are, and never short of inodes where the file system has no fixed number", () => {
  const reserve = { bytes: 512 * MiB, files: 1_000 };
  const free = { bytes: 1_000 * MiB, files: 5_000 };
  expect(shortage(free, reserve)).toBeNull();
  expect(shortage(free, reserve, { bytes: 500 * MiB, files: 0 })).toContain("only 1000 MiB are free");
  expect(shortage(free, reserve, { bytes: 0, files: 4_001 })).toContain("only 5000 more files (inodes) fit");
  expect(shortage({ ...free, files: Number.POSITIVE_INFINITY }, reserve, { bytes: 0, files: 1e9 })).toBeNull();
});
