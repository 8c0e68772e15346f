import { z } from "zod";
import {
  amount,
  envName,
  flag,
  gpuString,
  listOf,
  mapOf,
  oneOf,
  positive,
  sandboxPath,
  section,
  text,
  wholeNumber,
} from "./fields.ts";

const imageText = 'a registry tag, a Modal image id ("im-…"), or { "dockerfile": ["RUN …"], "base": tag }';
const networkText = '"open", "blocked", or { "domains": […], "cidrs": […] }';

const bucketSchema = section({
  bucket: text("the name of a bucket").describe("Name of the bucket."),
  endpointUrl: text("a URL").nullable().default(null).describe("Endpoint of an S3-compatible service (R2, GCS)."),
  keyPrefix: text("a key prefix").nullable().default(null).describe("Only keys that begin so; ends with a slash."),
  secret: text("the name of a Modal secret")
    .nullable()
    .default(null)
    .describe("Modal secret that holds the credentials."),
  readOnly: flag().default(false).describe("Whether the sandbox may only read."),
});

/** A named recipe a sandbox is made from, and all its defaults. null stands for the provider's own choice. */
export const environmentSchema = section({
  image: z
    .union(
      [
        text(imageText),
        section({ dockerfile: z.array(z.string()).min(1), base: z.string().min(1).nullable().default(null) }),
      ],
      { error: imageText },
    )
    .nullable()
    .default(null)
    .describe(`Image to start from: ${imageText}.`),
  setup: listOf(text("a shell command"), "a list of shell commands")
    .default([])
    .describe("Shell commands run once, in order; the result is snapshotted and reused."),
  workspace: oneOf(["project", "empty"])
    .default("project")
    .describe(
      'What the work directory holds at first: "project", the project\'s files as they are now, or "empty", nothing.',
    ),
  workdir: sandboxPath().default("/workspace").describe("Absolute path, in the sandbox, that commands start in."),
  gpu: gpuString()
    .nullable()
    .default(null)
    .describe('GPUs: Modal\'s names in any case, with a count ("H100:8"); "H100:8|H200:8" is an order of preference.'),
  cpu: amount(0.125).nullable().default(null).describe("Physical CPU cores; fractions are allowed."),
  memoryMiB: wholeNumber(64).nullable().default(null).describe("Memory, MiB."),
  env: mapOf(
    envName(),
    z.string({ error: "a string" }).regex(/^[^\0]*$/, { error: "a string without NUL" }),
    "an object of names and strings",
  )
    .default({})
    .describe("Environment variables of every command."),
  hostEnv: listOf(envName(), "a list of names of environment variables")
    .default([])
    .describe("Names of environment variables copied from this machine into the sandbox."),
  secrets: listOf(text("the name of a Modal secret"), "a list of names of Modal secrets")
    .default([])
    .describe("Names of Modal secrets whose variables the sandbox gets."),
  volumes: mapOf(sandboxPath(), text("the name of a Modal volume"), "an object of absolute paths and volume names")
    .default({})
    .describe('Modal volumes by mount path, for example { "/data": "my-volume" }.'),
  buckets: mapOf(sandboxPath(), bucketSchema, "an object of absolute paths and buckets")
    .default({})
    .describe("S3, R2 or GCS buckets by mount path."),
  ports: listOf(wholeNumber(1, 65_535), "a list of port numbers")
    .default([])
    .describe("Ports of the sandbox that get a tunnel."),
  network: z
    .union(
      [
        z.enum(["open", "blocked"]),
        section({ domains: z.array(z.string().min(1)).default([]), cidrs: z.array(z.string().min(1)).default([]) }),
      ],
      { error: networkText },
    )
    .default("open")
    .describe(`Network of the sandbox: ${networkText}. It never reaches the host's own loopback.`),
  regions: listOf(text("the name of a region"), "a list of regions")
    .default([])
    .describe("Regions a sandbox may run in; empty = any."),
  refreshMinutes: positive()
    .default(30)
    .describe("Age, in minutes, at which the environment's image is rebuilt in the background."),
  warm: wholeNumber(0).default(0).describe("Sandboxes kept ready ahead of need."),
  idleTimeoutMinutes: positive()
    .default(20)
    .describe("Minutes without activity after which the provider ends a sandbox."),
  sandboxTimeoutMinutes: positive()
    .nullable()
    .default(null)
    .describe("Lifetime of a sandbox, minutes; null = the job's limit."),
});

/** An environment with every key present. */
export type Environment = z.output<typeof environmentSchema>;
