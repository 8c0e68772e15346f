import type { Environment } from "../config/environment.ts";
import { toVolumeMount } from "../config/mounts.ts";
import { plainName } from "../shared/plain-text.ts";

type Mounts = Pick<Environment, "volumes" | "buckets">;

/**
 * Names the volumes and buckets of a measurement that its job could write to: in neither setting does a fresh sandbox undo
 * what the job changed there. They stay writable, because benchmarks keep their caches in them.
 */
export function writtenMountNotes(jobID: string, job: Mounts, measuring: Mounts): string[] {
  const written = new Set(mountsOf(job).flatMap(({ id, readOnly }) => (readOnly ? [] : [id])));
  const shared = mountsOf(measuring).filter(({ id }) => written.has(id));
  if (shared.length === 0) return [];
  const named = shared.map(({ kind, name, path }) => `the ${kind} ${plainName(name)} at ${plainName(path)}`).join(", ");
  return [
    `${jobID} could write to what the measurement has too: ${named}. What it changed there counts in the measurement, so keep data of the benchmark in a volume that is read-only for jobs.`,
  ];
}

const mountsOf = ({ volumes, buckets }: Mounts) => [
  ...Object.entries(volumes).map(([path, volume]) => {
    const { name, readOnly } = toVolumeMount(volume);
    return { id: JSON.stringify(["volume", name]), kind: "volume", name, path, readOnly };
  }),
  ...Object.entries(buckets).map(([path, { bucket, endpointUrl, readOnly }]) => {
    return { id: JSON.stringify(["bucket", endpointUrl, bucket]), kind: "bucket", name: bucket, path, readOnly };
  }),
];
