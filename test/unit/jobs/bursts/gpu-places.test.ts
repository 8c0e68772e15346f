import { expect, test } from "bun:test";
import { NO_COMPUTE } from "../../../../src/core/cost.ts";
import type { Job } from "../../../../src/core/job.ts";
import { createGpuPlaces, type GpuPlacesDeps } from "../../../../src/jobs/bursts/gpu-places.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import type { Lease, PoolState } from "../../../../src/jobs/store/lease-store.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

const gpu = { type: "T4", count: 1, exact: false };

test("a GPU that is kept ready makes way for a command that waits for one", async () => {
  const clock = createFakeClock();
  const job = {
    id: "job_1",
    orchestrator: "ses",
    provider: "modal",
    task: { maxUsd: null },
    compute: NO_COMPUTE,
  } as unknown as Job;
  const sessionJobs = { get: () => job, all: () => [job], accounts: () => ({}) } as unknown as SessionJobs;
  let leases: Lease[] = [{ id: "warm_1", jobID: "warm_1", orchestrator: "ses", owner: "me", slots: 0, gpu } as Lease];
  const state = (): PoolState => ({ leases, queue: [] });
  const deps = {
    pool: { poolState: state, enqueue: () => {}, leaveQueue: () => {} },
    leases: {
      acquire: (of: object, decide: (now: PoolState) => object | null) => ({ ...of, ...decide(state()) }),
      on: () => () => {},
    },
    admissionLimits: { maxRunningJobs: 1, gpus: { total: 1 } },
    limits: { budget: { ceilingUsd: null }, gpuWait: { maxMs: 60_000, pauseMs: 1_000 }, rates: () => ({ most: 1 }) },
    warm: {
      makeWay(couldStart: (without: PoolState) => boolean) {
        if (couldStart({ leases: [], queue: [] })) clock.after(5_000, () => (leases = [])); // its sandbox ends
      },
    },
    owner: "me",
    clock,
  };
  const places = createGpuPlaces(deps as unknown as GpuPlacesDeps);
  const wait = { since: clock.now(), signal: new AbortController().signal, onWait: () => {} };
  let given: unknown = null;
  void places.take(sessionJobs, job.id, [gpu], wait).then((place) => (given = place));
  await clock.advance(3_000);
  expect(given).toBeNull();
  await clock.advance(3_000);
  expect(given).toMatchObject({ id: "job_1+burst", gpu });
});
