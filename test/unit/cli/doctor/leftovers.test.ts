import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLeftovers } from "../../../../src/cli/doctor/leftovers.ts";
import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { systemClock } from "../../../../src/shared/clock.ts";

test("a sandbox on Modal in which an environment is built is not left behind, and one of a build that is over is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "leftovers-"));
  const stateDir = join(folder, "state");
  const pool = await openPoolStore(stateDir);
  try {
    const now = systemClock.now();
    for (const id of ["sb-builds", "sb-left"]) pool.insertSandbox(id, "modal", "job_1", "ses_1", now);
    const build = { id: "build_1", owner: toOwner("me"), since: now, renewedAt: now, sandboxID: "sb-builds", step: 1, of: 1, command: "" };
    pool.changeEnvironment("content", (record) => ({ record: { ...record, build }, result: undefined }));
    const times = { clock: systemClock, parkAfterMs: 0, creationMs: 0 };
    expect(await findLeftovers(stateDir, join(folder, "scratch"), times)).toEqual({ ended: ["sb-left"], parked: [], failures: [] });
  } finally {
    pool.close();
    rmSync(folder, { recursive: true, force: true });
  }
}); // biome-ignore format: tables
