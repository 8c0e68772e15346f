import fc from "fast-check";
import type { JobView } from "../../../../src/views/job-view.ts";
import { iso, START, sampleJob } from "../../../support/sample-lab.ts";

export const AT = START;

export const jobView = (id: string, more: Partial<JobView> = {}): JobView =>
  sampleJob(id, { kind: "agent", description: `work of ${id}`, ...more });

export const number = (value: number | "NaN" | "Infinity" | "-Infinity", step?: number) => ({
  value,
  ...(step !== undefined && { step }),
  at: iso(0),
  source: "output" as const,
});

/** Texts that break rows which do not clean them. */
export const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "\x1b[31mred\x1b]0;title\x07",
    "a\tb\r\nc",
    "日本語のとても長い説明です",
    "e\u0301",
    "👩‍👩‍👧",
    "\u202egnp.exe",
    "constructor",
  ),
);

const states = ["queued", "starting", "running", "completed", "failed", "cancelled", "interrupted"] as const;

const anyJob = (id: string, ids: readonly string[]): fc.Arbitrary<JobView> =>
  fc
    .record({
      description: anyText,
      state: fc.constantFrom(...states),
      reason: fc.option(anyText, { nil: undefined }),
      status: fc.option(anyText, { nil: undefined }),
      parent: fc.option(fc.constantFrom(...ids, "job_gone"), { nil: undefined }),
      startedBy: fc.option(fc.constantFrom(...ids), { nil: undefined }),
      queuePosition: fc.option(fc.nat(9), { nil: undefined }),
      elapsedSeconds: fc.nat(100_000),
      usd: fc.record({ model: fc.nat(9), compute: fc.nat(9) }),
      metrics: fc.dictionary(fc.constantFrom("loss", "acc", "__proto__", "constructor"), anyNumber),
      endedAt: fc.option(fc.constantFrom("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"), { nil: undefined }),
      result: fc.option(anyText, { nil: undefined }),
      notes: fc.array(anyText, { maxLength: 2 }),
    })
    .map((more) => jobView(id, JSON.parse(JSON.stringify(more))));

const anyNumber = fc
  .oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom("NaN", "Infinity", "-Infinity"))
  .map((value) => number(value as number, 3));

/** Jobs of a session, with whatever links between them. */
export const anyJobs = fc.nat(9).chain((count) => {
  const ids = Array.from({ length: count }, (_, at) => `job_${at}`);
  return fc.tuple(...ids.map((id) => anyJob(id, ids))) as fc.Arbitrary<JobView[]>;
});
