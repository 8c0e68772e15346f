import type { BucketMount, VolumeMount } from "../../config/mounts.ts";
import { inQuotes, plainName } from "../../shared/plain-text.ts";

/* What a job's agent, and whoever looks at the job, is told of its volumes and buckets. */

/**
 * @source Modal's documents: others' changes show after a reload; `sync` commits on v2 only; v1 takes at most five writers;
 * snapshots contain no volumes
 */
export function volumeNote(path: string, { name, readOnly, subPath }: VolumeMount, version: 1 | 2): string {
  const folder = subPath === null ? "" : `, its folder ${plainName(subPath)}`;
  const where = `At ${plainName(path)}: the Modal volume ${inQuotes(name)} (v${version})${folder}`;
  if (readOnly) return `${where}, read-only. What others commit to it shows from your next turn on.`;
  const kept =
    version === 2
      ? `Run \`sync ${plainName(path)}\` to commit what you write; otherwise it is committed when the sandbox ends.`
      : "What you write is committed when the sandbox ends; at most five sandboxes should write to it at once.";
  return `${where}, shared with other sandboxes and in no snapshot. ${kept} What others commit shows from your next turn on.`;
}

/** @source Modal's documents: buckets are mounted by Mountpoint for S3, which writes new files from beginning to end */
export function bucketNote(path: string, { bucket, readOnly }: BucketMount): string {
  const where = `At ${plainName(path)}: the bucket ${inQuotes(bucket)}`;
  return readOnly
    ? `${where}, read-only.`
    : `${where}, which everyone with access sees. Write each file in one go: files in it cannot be changed or appended to.`;
}
