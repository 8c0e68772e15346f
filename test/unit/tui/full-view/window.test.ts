import { expect, test } from "bun:test";
import fc from "fast-check";
import { layoutOf } from "../../../../src/tui/full-view/layout.ts";
import { chosenAt, firstShown, moved } from "../../../../src/tui/full-view/window.ts";

const anyEntries = fc
  .array(fc.constantFrom("job", "heading", "fold"), { maxLength: 30 })
  .map((kinds) => kinds.map((kind, at) => ({ kind, key: String(at) })));

test("the window shows what is chosen, and no empty rows while there is something to show", () => {
  fc.assert(
    fc.property(
      fc.nat(300),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(299),
      fc.integer(),
      (count, rows, place, former) => {
        const chosen = count === 0 ? -1 : place % count;
        const first = firstShown(count, rows, chosen, former);
        expect(first).toBeGreaterThanOrEqual(0);
        if (count > 0) expect(chosen >= first && chosen < first + rows).toBe(true);
        expect(first).toBeLessThanOrEqual(Math.max(0, count - rows));
        // It stays where it was as long as that shows the choice.
        expect(firstShown(count, rows, chosen, first)).toBe(first);
      },
    ),
  );
});

test("the choice moves over headings, stops at either end, and never leaves the list", () => {
  fc.assert(
    fc.property(
      anyEntries,
      fc.integer({ min: -1, max: 40 }),
      fc.integer({ min: -50, max: 50 }),
      (entries, formerly, by) => {
        const start = chosenAt(entries, null, formerly);
        const hasChoice = entries.some(({ kind }) => kind !== "heading");
        expect(start >= 0).toBe(hasChoice);
        const end = moved(entries, start, by);
        if (hasChoice) expect(entries[end]?.kind).not.toBe("heading");
        else expect(end).toBe(start);
        expect(Math.sign(end - start) * Math.sign(by)).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});

test("the choice follows a job that moves, stays in its place while the job is gone, and finds it again", () => {
  const rows = (...keys: string[]) => keys.map((key) => ({ kind: "job", key }));
  expect(chosenAt(rows("a", "b", "c"), "c", 1)).toBe(2);
  expect(chosenAt(rows("a", "b"), "c", 1)).toBe(1);
  expect(chosenAt(rows("a"), "c", 1)).toBe(0);
  expect(chosenAt([], "c", 1)).toBe(-1);
  expect(chosenAt(rows("c", "a"), "c", 1)).toBe(0);
});

test("at any size list and detail fit beside or below each other", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -3, max: 400 }),
      fc.integer({ min: -3, max: 200 }),
      fc.nat(),
      (columns, rows, entries) => {
        const { list, detail } = layoutOf(columns, rows, entries);
        expect(Math.min(list.columns, list.rows)).toBeGreaterThan(0);
        if (detail === null) return expect(list.rows).toBe(Math.max(1, rows));
        expect(Math.min(detail.columns, detail.rows)).toBeGreaterThan(0);
        if (detail.isBeside) expect(list.columns + detail.columns).toBeLessThan(columns);
        else expect(list.rows + detail.rows + 1).toBe(rows);
      },
    ),
  );
  expect(layoutOf(160, 40).detail?.isBeside).toBe(true);
  expect(layoutOf(80, 21).detail?.isBeside).toBe(false);
  expect(layoutOf(80, 8).detail).toBeNull();
  expect(layoutOf(80, 41, 6)).toMatchObject({ list: { rows: 6 }, detail: { rows: 34 } }); // a short list leaves its rows
  expect(layoutOf(80, 41, 1).list.rows).toBe(4);
});
