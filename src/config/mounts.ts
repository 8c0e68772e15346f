import { z } from "zod";
import { flag, section, text } from "./fields.ts";

const volumeText =
  'the name of a Modal volume, or { "name": …, "version"?: 1 or 2, "readOnly"?, "subPath"?, "create"? }';
const urlText = 'a URL that begins with "https://"';
const subPathText = 'a path in the volume without ".."';

const volumeOptions = section({
  name: text("the name of a Modal volume").describe("Name of the volume."),
  version: z
    .literal([1, 2], { error: "1 or 2" })
    .nullable()
    .default(null)
    .describe("The volume must be of this version. `null` = any; one that is made is of version 2."),
  readOnly: flag().default(false).describe("Whether the sandbox can only read the volume."),
  subPath: text(subPathText)
    .refine((path) => !path.split("/").includes(".."), { error: subPathText })
    .nullable()
    .default(null)
    .describe("Folder of the volume that is mounted. `null` = the whole volume."),
  create: flag().default(false).describe("Whether a volume that does not exist is made."),
});

/** A volume by its name, or with options. */
export const volumeSchema = z.union([text(volumeText), volumeOptions], { error: volumeText });

export const bucketSchema = section({
  bucket: text("the name of a bucket").describe("Name of the bucket."),
  endpointUrl: text(urlText)
    .refine((url) => /^https?:\/\/[^/]/.test(url) && URL.canParse(url), { error: urlText })
    .nullable()
    .default(null)
    .describe("Endpoint of an S3-compatible service (R2, GCS). `null` = AWS."),
  keyPrefix: text("a key prefix")
    .nullable()
    .default(null)
    .describe("Only keys with this prefix are visible; ends with a slash."),
  secret: text("the name of a Modal secret").nullable().default(null).describe("Modal secret with the credentials."),
  readOnly: flag().default(true).describe("Whether the sandbox can only read the bucket."),
});

/** A volume with every option. */
export type VolumeMount = z.output<typeof volumeOptions>;
export type BucketMount = z.output<typeof bucketSchema>;

export const toVolumeMount = (volume: z.output<typeof volumeSchema>): VolumeMount =>
  typeof volume === "string" ? volumeOptions.parse({ name: volume }) : volume;

/**
 * Reports each mount that contains the work directory or lies in it: a job's files would be shared with other jobs and in
 * none of its snapshots, or the mounted files would be taken for its changes.
 */
export function checkMountPaths(
  environment: { readonly workdir: string; readonly volumes: object; readonly buckets: object },
  report: (path: readonly string[], message: string) => void,
): void {
  const { workdir, volumes, buckets } = environment;
  for (const [key, mounts] of Object.entries({ volumes, buckets })) {
    for (const path of Object.keys(mounts)) {
      if (contains(path, workdir) || contains(workdir, path))
        report([key, path], `a path apart from the work directory ${workdir}, such as "/data"; a link can lead there`);
    }
  }
  const twice = Object.keys(volumes).filter((path) => Object.hasOwn(buckets, path));
  for (const path of twice) report(["buckets", path], "a path at which no volume is mounted");
}

const contains = (folder: string, path: string): boolean => `${path}/`.startsWith(`${folder.replace(/\/+$/, "")}/`);
