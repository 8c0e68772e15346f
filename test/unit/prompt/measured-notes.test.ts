import { expect, test } from "bun:test";
import { measuredNotes } from "../../../src/prompt/measured-notes.ts";

const BUILT = { isUnchanged: false, refused: [], commandFiles: [], libraries: [] };
const TAKEN = { leftOut: [], unmatched: [] };
const NONE = { tooLarge: [], ignored: [] };

test("a measurement that takes no change of its job says so, and names what git ignores there", () => {
  const unchanged = { ...BUILT, isUnchanged: true };
  const nothing = "No change of job_1 is among what is measured, which is the project as it was.";
  expect(measuredNotes("job_1", unchanged, TAKEN, NONE)).toEqual([nothing]);
  expect(measuredNotes("job_1", unchanged, TAKEN, { ...NONE, ignored: ["ckpt/", "a\nb.bin"] })).toEqual([
    `${nothing} Git ignores what job_1 left in ckpt/, "a\\nb.bin": name in the benchmark's artifacts what it needs of that.`,
  ]);
  expect(measuredNotes("job_1", BUILT, TAKEN, { ...NONE, ignored: ["ckpt/"] })).toEqual([]);
});
