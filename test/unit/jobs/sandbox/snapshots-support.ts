import type { SnapshotRecord } from "../../../../src/core/snapshot-record.ts";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import { bytes, ORCHESTRATOR, text, type World } from "../runtime-world.ts";

export const takeSnapshot = async (
  { runtime }: World,
  job: string,
  label: string | null = null,
  path: string | null = null,
): Promise<SnapshotRecord> => (await snapshotJob(runtime, ORCHESTRATOR, { job, label, path })).snapshot;

/** Writes a file of the job's live sandbox. */
export const write = async (world: World, id: string, path: string, content: string): Promise<void> =>
  world.runtime.lifecycle.live(id)?.writeFile(path, bytes(content));

/** Reads a file of the job's live sandbox. */
export const read = async (world: World, id: string, path: string): Promise<string> =>
  text(await world.runtime.lifecycle.live(id)?.readFile(path, { offset: 0, maxBytes: 99 }));

/** A task that starts from a snapshot, given by id or label. */
export const fork = (from: string, prompt = "work 500 fork") => ({ description: "fork", prompt, from });

/** Advances the clock until the job is parked. Returns the id of the snapshot it was parked with. */
export const untilParked = (world: World, id: string): Promise<string> =>
  world.clock.until(`${id} is parked`, () => {
    const { sandbox } = world.job(id);
    return sandbox.kind === "parked" && sandbox.snapshotID;
  });
