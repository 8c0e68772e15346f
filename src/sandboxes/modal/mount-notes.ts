import type { BucketMount, VolumeMount } from "../../config/mounts.ts";
import { inQuotes, plainName } from "../../shared/plain-text.ts";

/* What a job's agent, and whoever looks at the job, is told of its volumes and buckets. */

/**
 * @source Modal's documents: others' changes show after a reload; `sync` commits on v2 only; v1 takes at most five writers;
 * snapshots contain no volumes
 */
export function volumeNote(path: string, { name, readOnly, subPath }: VolumeMount, version: 1 | 2 | null): string {
  const folder = subPath === null ? "" : `, its folder ${plainName(subPath)}`;
  const where = `At ${plainName(path)}: Modal volume ${inQuotes(name)}${version === null ? "" : ` (v${version})`}${folder}`;
  const fresh = "Others' commits show from the next turn on, or in the next run.";
  if (readOnly) return `${where}, read-only. ${fresh}`;
  const kept = {
    1: "What is written is committed when the sandbox ends, not by `sync`; at most five sandboxes should write at once.",
    2: `\`sync ${plainName(path)}\` commits what is written, else the sandbox's end does.`,
    null: "What is written is committed when the sandbox ends.",
  }[`${version}`];
  return `${where}, shared, in no snapshot. ${kept} ${fresh}`;
}

/** @source Modal's documents: buckets are mounted by Mountpoint for S3, which writes new files from beginning to end */
export function bucketNote(path: string, { bucket, readOnly }: BucketMount): string {
  const where = `At ${plainName(path)}: bucket ${inQuotes(bucket)}`;
  return readOnly
    ? `${where}, read-only.`
    : `${where}, shared, in no snapshot. Write each file in one go: files there cannot be changed or appended to.`;
}
