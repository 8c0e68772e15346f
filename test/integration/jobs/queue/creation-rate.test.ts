import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("creation-rate-main.ts", import.meta.url));
const [PER_SECOND, BURST, EACH] = [20, 5, 20];

test("processes that share a state directory create together no faster than allowed; one that dies holds nothing", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "rate-"));
  const start = (...more: string[]) =>
    Bun.spawn([process.execPath, MAIN, stateDir, String(EACH), String(PER_SECOND), String(BURST), ...more], {
      stderr: "inherit",
    });
  try {
    await start("dies").exited; // with most of its creations still waiting
    const running = [start(), start()];
    const printed = await Promise.all(running.map(({ stdout }) => new Response(stdout).text()));
    const each = printed.map((text) => text.trim().split("\n").map(Number));
    expect(each.map(({ length }) => length)).toEqual([EACH, EACH]);
    const taken = each.flat().sort((a, b) => a - b);
    for (let from = 0; from < taken.length; from += 1)
      for (let to = from; to < taken.length; to += 1) {
        const seconds = ((taken[to] ?? 0) - (taken[from] ?? 0)) / 1000;
        // What a process prints may be late: by as much as the machine is busy.
        expect(to - from + 1).toBeLessThanOrEqual(BURST + (seconds + 0.2) * PER_SECOND);
      }
    const seconds = ((taken.at(-1) ?? 0) - (taken[0] ?? 0)) / 1000;
    expect(seconds).toBeGreaterThan((taken.length - BURST) / PER_SECOND - 0.3);
    expect(seconds).toBeLessThan(taken.length / PER_SECOND + 3);
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}, 30_000);
