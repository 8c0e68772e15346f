import { describe, expect, test } from "bun:test";
import { type LiveRow, liveColumns, renderLeaderboard, renderTable } from "../../demo/leaderboard.ts";
import { LiveScreen } from "../../demo/live-screen.ts";

const row = (change: Partial<LiveRow> = {}): LiveRow => ({ job: "mixing", state: "running", seconds: 2, ...change });

function screen(isTTY: boolean, size = {}) {
  const writes: string[] = [];
  return { writes, isTTY, columns: 70, rows: 24, ...size, write: (text: string) => writes.push(text) };
}

describe("renderTable", () => {
  test("cuts only the flexible column, so that every line has the same, allowed width", () => {
    const rows = [row({ doing: "step 3/10 ".repeat(20) }), row({ job: "neural", valBpb: 2.61874, bytes: 14688 })];
    const lines = renderTable(rows, liveColumns(false), 70).split("\n");
    expect(lines.map((line) => [...line].length)).toEqual(Array(6).fill(70));
    expect(lines[3]).toContain("…");
    expect(lines[4]).toContain("2.6187 │ 14,688 │ 2.0 s");
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
  test("ranks by val_bpb, names the parent and the gain over it, and puts jobs without a result last", () => {
    const rows = [
      { job: "broken", seconds: 1 },
      { job: "mixing", valBpb: 1.88, bytes: 52143, seconds: 4.2 },
      { job: "mixing-2", parent: "mixing", valBpb: 1.843, bytes: 64404, seconds: 75 },
    ];
    expect(renderLeaderboard(rows, { capBytes: 65536 })).toBe(
      [
        "┌───┬──────────┬─────────────┬─────────┬───────────┬────────┬────────┬────────────┐",
        "│ # │ job      │ forked from │ val_bpb │ vs parent │  bytes │ of cap │       time │",
        "├───┼──────────┼─────────────┼─────────┼───────────┼────────┼────────┼────────────┤",
        "│ 1 │ mixing-2 │ mixing      │  1.8430 │   −0.0370 │ 64,404 │   98 % │ 1 min 15 s │",
        "│ 2 │ mixing   │ –           │  1.8800 │           │ 52,143 │   80 % │      4.2 s │",
        "│ – │ broken   │ –           │         │           │        │        │      1.0 s │",
        "└───┴──────────┴─────────────┴─────────┴───────────┴────────┴────────┴────────────┘",
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
    live.update([row({ state: "completed", valBpb: 1.88, bytes: 52143, seconds: 4 })]);
    expect(log.writes).toEqual([
      "[0.0 s] mixing: queued\n",
      "[1.0 s] mixing: running · step 3/10\n",
      "[4.0 s] mixing: completed · val_bpb 1.8800 · 52,143 bytes\n",
    ]);
  });
});
