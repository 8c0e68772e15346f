import { describe, expect, test } from "bun:test";
import type { ExperimentView } from "../../../src/views/experiment-view.ts";
import { type LiveRow, liveColumns, renderLeaderboard, renderTable } from "../../demo/leaderboard.ts";
import { LiveScreen } from "../../demo/live-screen.ts";

const row = (change: Partial<LiveRow> = {}): LiveRow => ({ job: "mixing", state: "running", seconds: 2, ...change });

function screen(isTTY: boolean, size = {}) {
  const writes: string[] = [];
  return { writes, isTTY, columns: 70, rows: 24, ...size, write: (text: string) => writes.push(text) };
}

describe("renderTable", () => {
  test("cuts only the flexible column, so that every line has the same, allowed width", () => {
    const rows = [row({ doing: "step 3/10 ".repeat(20) }), row({ job: "neural", bpb: 2.61874 })];
    const lines = renderTable(rows, liveColumns(false), 70).split("\n");
    expect(lines.map((line) => [...line].length)).toEqual(Array(6).fill(70));
    expect(lines[3]).toContain("…");
    expect(lines[4]).toContain("2.6187 │ 2.0 s");
  });

  test("keeps control characters of a job's own words out of the table", () => {
    const table = renderTable([row({ doing: "\u001b[31mtrain\u001b[0m\nnext\u0007" })], liveColumns(false), 100);
    expect(table).toContain("│ train next │");
  });

  test("colours do not change the visible width", () => {
    const coloured = renderTable([row()], liveColumns(true), 100);
    expect(coloured).toContain("\u001b[36mrunning\u001b[0m");
    expect(Bun.stripANSI(coloured)).toBe(renderTable([row()], liveColumns(false), 100));
  });
});

describe("renderLeaderboard", () => {
  const experiment = (change: Partial<ExperimentView>): ExperimentView => ({
    ...{ id: "e", job: "job_1", description: "control", metric: "val_bpb", direction: "min", mean: 2.6361, n: 1 },
    ...{ source: "output", verdict: null, usd: 0, gpuSeconds: 0, createdAt: "2026-01-01T00:00:00Z" },
    ...change,
  });

  test("shows means with deviations, how they were measured, the gain over the control and the verdict", () => {
    const rows = [
      experiment({
        ...{ rank: 1, description: "screen (ORDER=4, CACHE=4)", mean: 2.3388, deviation: 0.02, n: 3 },
        ...{ source: "clean", verdict: "better" },
      }),
      experiment({ rank: 2, deviation: 0.0312, n: 3, source: "clean" }),
      experiment({ description: "broken", mean: "NaN", verdict: "worse" }),
    ];
    expect(renderLeaderboard(rows, { control: "control" })).toBe(
      [
        "┌───┬───────────────────────────┬─────────────────┬───┬──────────┬────────────┬─────────┐",
        "│ # │ experiment                │         val_bpb │ n │ measured │ vs control │ verdict │",
        "├───┼───────────────────────────┼─────────────────┼───┼──────────┼────────────┼─────────┤",
        "│ 1 │ screen (ORDER=4, CACHE=4) │ 2.3388 ± 0.0200 │ 3 │ clean    │    −0.2973 │ better  │",
        "│ 2 │ control                   │ 2.6361 ± 0.0312 │ 3 │ clean    │            │ –       │",
        "│ – │ broken                    │             NaN │ 1 │ output   │            │ worse   │",
        "└───┴───────────────────────────┴─────────────────┴───┴──────────┴────────────┴─────────┘",
      ].join("\n"),
    );
  });
});

describe("LiveScreen", () => {
  test("redraws in place on a terminal", () => {
    const terminal = screen(true);
    const live = new LiveScreen(terminal, false);
    live.update([row()]);
    live.update([row({ seconds: 3 })]);
    expect(terminal.writes[0]).not.toContain("\u001b");
    expect(terminal.writes[1]).toStartWith("\u001b[5A\r\u001b[J┌");
  });

  test("draws no more lines than the terminal can take back", () => {
    const terminal = screen(true, { rows: 6 });
    new LiveScreen(terminal, false).update(Array.from({ length: 9 }, (_, i) => row({ job: `job ${i}` })));
    expect(terminal.writes[0]?.trimEnd().split("\n")).toHaveLength(5);
  });

  test("writes a line per change elsewhere; passing time is no change", () => {
    const log = screen(false);
    const live = new LiveScreen(log);
    live.update([row({ state: "queued", seconds: 0 })]);
    live.update([row({ doing: "step 3/10", seconds: 1 })]);
    live.update([row({ doing: "step 3/10", seconds: 2 })]);
    live.update([row({ state: "completed", bpb: 1.88, seconds: 4 })]);
    expect(log.writes).toEqual([
      "[0.0 s] mixing: queued\n",
      "[1.0 s] mixing: running · step 3/10\n",
      "[4.0 s] mixing: completed · bpb 1.8800\n",
    ]);
  });
});
