import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { toOwner } from "../../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../../src/jobs/store/pool-store.ts";
import type { WarmSandbox } from "../../../../../src/jobs/store/warm-rows.ts";
import { propertyRuns } from "../../../../support/property-runs.ts";

const MAIN = fileURLToPath(new URL("lease-main.ts", import.meta.url));
const START_MS = 400;

const warmOf = (id: string, owner: string, now: number): WarmSandbox => ({
  ...{ id, state: "ready", owner, jobID: null, sandboxID: `sb_${id}`, key: "k", environment: "default" },
  ...{ orchestrator: "ses_1", provider: "modal", madeAt: now, since: now, until: null, usdPerHour: 1, gpu: null },
  ...{ devices: null, start: null, image: null, tree: null, takenAt: null },
});

test("two processes never have the same warm sandbox at once, and what one that was killed had goes to nobody", async () => {
  const plans = fc.record({ count: fc.integer({ min: 1, max: 12 }), tries: fc.integer({ min: 4, max: 20 }), dies: fc.integer({ min: 0, max: 3 }) }); // biome-ignore format: one line
  const race = async ({ count, tries, dies }: { count: number; tries: number; dies: number }) => {
    const stateDir = mkdtempSync(join(tmpdir(), "warm-"));
    const pool = await openPoolStore(stateDir);
    try {
      const now = Date.now();
      const ids = Array.from({ length: count }, (_, n) => `warm_${n}`);
      for (const id of ids) pool.beginWarm(() => warmOf(id, toOwner("maker"), now), now);
      const args = [stateDir, "a", String(tries), String(now + START_MS)];
      const start = (name: string, ...more: string[]) =>
        Bun.spawn([process.execPath, MAIN, args[0] ?? "", name, ...args.slice(2), ...more], { stderr: "inherit" });
      const running = [start("a", String(dies)), start("b")];
      const lines = (await Promise.all(running.map(({ stdout }) => new Response(stdout).text()))).map((text) =>
        text.split("\n").filter(Boolean),
      );
      // Who had it and did not give it back: one at most.
      const held = lines.flat().reduce((sum, line) => {
        const [id = ""] = line.replace(/^-/, "").split(" ");
        return sum.set(id, (sum.get(id) ?? 0) + (line.startsWith("-") ? -1 : 1));
      }, new Map<string, number>());
      for (const [id, times] of held) expect([id, times === 0 || times === 1]).toEqual([id, true]);
      for (const warm of pool.warmSandboxes(Date.now())) {
        expect(held.get(warm.id) ?? 0).toBe(warm.jobID === null ? 0 : 1);
        // Of the dead one nobody takes any: what it did in them is not known.
        if (warm.jobID?.startsWith("job_a_") && dies > 0)
          expect(pool.takeWarm("job_late", toOwner("late"), (free) => free.find(({ id }) => id === warm.id) ?? null, Date.now())).toBeNull(); // biome-ignore format: one line
      }
    } finally {
      pool.close();
      rmSync(stateDir, { recursive: true, force: true });
    }
  };
  await fc.assert(fc.asyncProperty(plans, race), { numRuns: Math.min(12, propertyRuns(12)) });
}, 60_000);
