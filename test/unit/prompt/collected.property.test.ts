import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type CollectedChanges,
  type CollectedFiles,
  renderCollected,
  renderFiles,
} from "../../../src/prompt/collected.ts";
import { plainText } from "../../../src/shared/plain-text.ts";
import { jobIn } from "../views/job-in.ts";
import { hostileText } from "./hostile-text.ts";

/** A path as git gives it: one character per byte. */
const path = hostileText(6).map((name) => Buffer.from(name).toString("latin1"));
const text = hostileText(6);
const few = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 4 });
const leftOut = few(fc.record({ path, why: text, bytes: fc.constantFrom(null, 7) }));
const attention = few(fc.record({ path, who: fc.constant("git runs it") }));
const job = jobIn({ kind: "completed", result: "x" });
const source = { kind: "sandbox" as const };

/** One line per item that was given, and no line that a job wrote. */
const expectLines = (output: string, starts: readonly string[]) => {
  const lines = output.split("\n");
  expect(lines.length).toBe(starts.length);
  for (const [index, start] of starts.entries()) expect(lines[index]).toStartWith(start);
  expect(output).not.toMatch(/<\s*\/?\s*(?:job|result|system-reminder)/i);
  expect(plainText(output)).toBe(output);
};
const listed = (heading: string, items: readonly unknown[]) =>
  items.length === 0 ? [] : [heading, ...items.map(() => "- ")];

test("names, subjects and notes in a collected branch cannot begin a line", () => {
  const built = fc.record({
    commits: few(fc.record({ id: fc.constant("0123456789abcdef"), subject: text })),
    leftOut,
    attention,
    notes: few(text),
  });
  const overlaps = few(path).map((paths) => new Map(paths.length === 0 ? [] : [["job_2", paths]]));
  fc.assert(
    fc.property(built, few(path), overlaps, (some, paths, others) => {
      const collected = {
        job,
        source,
        built: {
          base: "b".repeat(40),
          head: "b".repeat(40),
          tip: "t",
          baseTree: "x",
          tree: "y",
          changed: [],
          remarks: [],
          ...some,
        },
        branch: "agents/job_1",
        isWritten: true,
        stat: { files: 1, insertions: 1, deletions: 1 },
        preview: paths.length === 0 ? { kind: "unknown", why: "x" } : { kind: "conflicts", paths },
        unmatched: paths,
        overlaps: others,
      } as unknown as CollectedChanges;
      expectLines(renderCollected(collected, null).output, [
        "Branch agents/job_1 of job_1: ",
        ...some.commits.map(() => '- 0123456789ab "'),
        ...listed("Attention: ", some.attention),
        ...paths.map(() => "No changed file is at "),
        paths.length === 0 ? "Whether it merges cleanly is not known" : "It conflicts with the project",
        ...[...others].map(() => "job_2 changed the same files: "),
        ...listed("Left out ", some.leftOut),
        ...some.notes.map(() => "Not in it: "),
      ]);
    }),
  );
});

test("names and notes of collected files cannot begin a line", () => {
  const files = fc.array(fc.record({ path, bytes: fc.constant(7) }), { minLength: 1, maxLength: 4 });
  const given = fc.record({ files, leftOut, attention, unmatched: few(text), notes: few(text) });
  fc.assert(
    fc.property(given, (some) => {
      const collected = { job, source, ...some } as unknown as CollectedFiles;
      expectLines(renderFiles(collected, "into").output, [
        "Wrote ",
        ...some.files.map(() => "- "),
        ...listed("Attention: ", some.attention),
        ...listed("Left out ", some.leftOut),
        ...some.unmatched.map(() => "Nothing is at "),
        ...some.notes.map(() => "Not among them: "),
      ]);
    }),
  );
});
