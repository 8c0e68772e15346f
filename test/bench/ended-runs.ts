import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NO_COMPUTE } from "../../src/core/cost.ts";
import type { Job } from "../../src/core/job.ts";
import { newJob } from "../../src/core/new-job.ts";
import { openSessionStore, sessionFile } from "../../src/jobs/store/session-store.ts";
import { ORCHESTRATOR, openWorld, type World } from "../unit/jobs/runtime-world.ts";

/** Runs that one call has started. */
const SWEEP = 200;
const METRICS = ["loss", "val_loss", "acc", "step_ms"];

/** A session of so many ended runs of sweeps, each parked and in the ledger, in an OpenCode process that has just begun. */
export async function openEndedRuns(count: number): Promise<World & { readonly directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), "bench-project-"));
  const world = await openWorld({}, { directory });
  const { pool } = world.runtime;
  const store = await openSessionStore(sessionFile(world.stateDir, ORCHESTRATOR), world.clock);
  const jobs = Array.from({ length: count }, (_, index) => endedRun(index, world.clock.now()));
  store.insert(jobs.map((job) => ({ job, turn: null })));
  store.close();
  for (const job of jobs) {
    if (job.sandbox.kind !== "parked") continue;
    pool.saveSnapshot({
      id: job.sandbox.snapshotID,
      label: null,
      orchestrator: ORCHESTRATOR,
      project: null,
      jobID: job.id,
      parent: null,
      kind: "filesystem",
      path: null,
      provider: "local",
      sizeBytes: 1,
      files: 1,
      leftOut: [],
      createdAt: job.state.since,
      expiresAt: null,
      storedAs: null,
      renewedAt: null,
      parked: true,
      isState: true,
    });
    pool.saveLineage({ id: job.sandbox.snapshotID, provider: "local" }, `sb_${job.id}`, null);
  }
  return { ...world, directory };
}

function endedRun(index: number, now: number): Job {
  const id = `job_${String(index).padStart(12, "0")}`;
  const call = Math.floor(index / SWEEP);
  const isFailed = index % 10 === 9;
  const at = now - 86_400_000 + index;
  const job = newJob(
    {
      failure: null,
      origin: { sessionID: ORCHESTRATOR, messageID: `msg_${call}`, callID: `call_${call}` },
      task: {
        description: `sweep ${call} (LR=${index % SWEEP})`,
        prompt: "",
        agent: "",
        model: null,
        variant: null,
        environment: "default",
        gpu: null,
        snapshotID: null,
        skills: [],
        forbidden: [],
        rules: [],
        timeoutMinutes: null,
        maxUsd: null,
        run: {
          command: "python train.py",
          params: { LR: index % SWEEP, CALL: call },
          metrics: {},
          files: [],
          reuse: false,
          stop: { metric: "loss", direction: "min", rungs: [1, 2], keep: 0.5 },
          measures: null,
        },
      },
    },
    { id, orchestrator: ORCHESTRATOR, position: index + 1, provider: "local", now: at },
  );
  const message = `The command ended with exit code 1. Its last lines: "Error ${index % 7}: out of memory"`;
  return {
    ...job,
    startedAt: at,
    state: isFailed
      ? { kind: "failed", since: at + 2_000, failure: { code: "command_failed", message, retryable: false } }
      : { kind: "completed", since: at + 2_000, result: "step 100 done\n".repeat(20) },
    sandbox: { kind: "parked", snapshotID: `snap_${index}` },
    exitCode: Number(isFailed),
    metrics: Object.fromEntries(
      METRICS.map((name, n) => [
        name,
        {
          value: 1 + ((index * 7919 + n * 101) % 1000) / 1000,
          step: 100,
          at: new Date(at).toISOString(),
          source: "output",
        },
      ]),
    ),
    compute: { ...NO_COMPUTE, usd: 0.01 },
  };
}

export async function closeEndedRuns(world: World & { readonly directory: string }): Promise<void> {
  await world.end();
  rmSync(world.directory, { recursive: true, force: true });
}
