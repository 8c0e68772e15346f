import { z } from "zod";
import {
  amount,
  cidr,
  domain,
  envName,
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
import { bucketSchema, checkMountPaths, volumeSchema } from "./mounts.ts";
import { hasOtherVariable } from "./own-path.ts";
import { limitProblems } from "./resources.ts";

/** Values that the error messages of `image` and `network` allow. */
const imageText =
  'a registry tag, a Modal image ("im-…" or "modal://name:tag"), or { "dockerfile": ["RUN …"], "base": tag }';
const setupText = "a shell command, or a list of shell commands";
const pathText = "folders, and $PATH for the sandbox's own PATH; no other variable is replaced";
const networkText = '"open", "blocked", or { "domains": […], "cidrs": […] }';

/** A recipe for sandboxes, with all its defaults. null leaves a choice to the provider. */
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
    .describe(
      'Modal only. Image to start from: a registry tag, a Modal image by id (`"im-…"`) or by the name it was published under (`"modal://name:tag"`), or `{ "dockerfile": ["RUN …"], "base": "tag" }`. What the image would run by itself (ENTRYPOINT, CMD) is not run.',
    ),
  imageSecret: text("the name of a Modal secret")
    .nullable()
    .default(null)
    .describe("Modal only. Modal secret with which the image is pulled from a private registry; see below."),
  setup: z
    .union([text(setupText), listOf(text(setupText), setupText)], { error: setupText })
    .default([])
    .describe(
      'Shell commands that are run once, in order, each in a shell of its own that starts in `workdir`, with the project\'s files in place: `["npm ci"]`. Jobs start from what they leave: of the whole file system on Modal, in home, work directory and `/tmp` locally.',
    ),
  workspace: oneOf(["project", "empty"])
    .default("project")
    .describe(
      'What the work directory holds at first: `"project"`, your project\'s files as they are when the job starts, or `"empty"`, nothing.',
    ),
  workdir: sandboxPath().default("/workspace").describe("Absolute path in the sandbox that commands start in."),
  gpu: gpuString()
    .nullable()
    .default(null)
    .describe(
      'GPU type, and how many: `"T4"`, `"A100-80GB"`, `"H100:8"`; of this machine also `"any"` and types such as `"RTX-4090"`. `"H100:8|H200:8"` is an order of preference. Modal may give an H200 for an H100; with `"H100!"` a sandbox that comes with anything else is ended, and the next preference is tried.',
    ),
  cpu: amount(0.125)
    .nullable()
    .default(null)
    .describe("Modal only. Physical CPU cores that are reserved, in fractions too. `null` = 1, or 2 per GPU."),
  cpuLimit: amount(0.125)
    .nullable()
    .default(null)
    .describe(
      "Modal only. Most cores that the sandbox may use; never less than `cpu`. Use beyond `cpu` is billed. `null` = twice `cpu`, at least 2.",
    ),
  memoryMiB: wholeNumber(64)
    .nullable()
    .default(null)
    .describe(
      "Memory in MiB: reserved on Modal, a limit locally. `null` = 2048 on Modal, or 16384 per GPU; locally three quarters of this machine's memory.",
    ),
  memoryLimitMiB: wholeNumber(64)
    .nullable()
    .default(null)
    .describe(
      "Most memory in MiB that the sandbox may use; a process that needs more is killed. Never less than `memoryMiB`. On Modal, use beyond `memoryMiB` is billed. `null` = on Modal twice `memoryMiB`, at least 4096; locally `memoryMiB`.",
    ),
  env: mapOf(
    envName(),
    z.string({ error: "a string" }).regex(/^[^\0]*$/, { error: "a string without NUL" }),
    "an object of names and strings",
  )
    .superRefine(({ PATH = "" }, context) => {
      if (hasOtherVariable(PATH)) context.addIssue({ code: "custom", path: ["PATH"], message: pathText });
    })
    .default({})
    .describe(
      "Environment variables of every command in the sandbox. In `PATH`, `$PATH` stands for the sandbox's own, which is added where none of its folders is named.",
    ),
  hostEnv: listOf(envName(), "a list of names of environment variables")
    .default([])
    .describe("Names of environment variables to copy from this machine into the sandbox."),
  secrets: listOf(text("the name of a Modal secret"), "a list of names of Modal secrets")
    .default([])
    .describe("Modal only. Names of Modal secrets whose variables the sandbox gets."),
  volumes: mapOf(sandboxPath(), volumeSchema, "an object of absolute paths and volumes")
    .default({})
    .describe(
      'Modal only. Modal volumes by mount path: `{ "/data": "my-volume" }`, or with options: `{ "/data": { "name": "my-volume", "version": 2, "readOnly": true, "subPath": "runs", "create": true } }`. A volume that does not exist is an error unless `create` is true.',
    ),
  buckets: mapOf(sandboxPath(), bucketSchema, "an object of absolute paths and buckets")
    .default({})
    .describe(
      'Modal only. S3, R2 or GCS buckets by mount path: `{ "/mnt/x": { "bucket": "b", "secret": "s", "readOnly": false } }`, with `endpointUrl` and `keyPrefix` where needed. Read-only unless `readOnly` is false.',
    ),
  ports: listOf(wholeNumber(1, 65_535), "a list of port numbers")
    .default([])
    .describe(
      "Modal only. Ports of the sandbox that get a public address: anyone on the internet reaches them, without a password, until the sandbox ends.",
    ),
  network: z
    .union(
      [
        z.enum(["open", "blocked"]),
        section({
          domains: listOf(domain(), "a list of domains").default([]),
          cidrs: listOf(cidr(), "a list of CIDRs").default([]),
        }),
      ],
      { error: networkText },
    )
    .default("open")
    .describe(
      'Network of the sandbox: `"open"`, `"blocked"`, or, on Modal only, `{ "domains": […], "cidrs": […] }`: nothing else is reachable, and domains over TLS on port 443 only. It never reaches this machine\'s loopback.',
    ),
  regions: listOf(text("the name of a region"), "a list of regions")
    .default([])
    .describe("Modal only. Regions that sandboxes may run in; empty = any."),
  cloud: text("the name of a cloud")
    .nullable()
    .default(null)
    .describe('Modal only. Cloud that sandboxes run in, such as `"aws"`, `"gcp"` or `"oci"`. `null` = any.'),
  proxy: text("the name of a Modal proxy")
    .nullable()
    .default(null)
    .describe("Modal only. Modal proxy through which sandboxes reach the internet, from its fixed addresses."),
  runtime: oneOf(["gvisor", "vm"])
    .nullable()
    .default(null)
    .describe(
      'Modal only. `"vm"`: a virtual machine, in which Docker works; Modal gives it to some workspaces only. `"gvisor"`: a container. `null` = Modal chooses.',
    ),
  refreshMinutes: positive()
    .default(30)
    .describe(
      "Age in minutes from which what `setup` left is made anew in the background while jobs use it. They start from the last good one meanwhile.",
    ),
  warm: wholeNumber(0)
    .default(0)
    .describe(
      "Most sandboxes that are kept ready while you write, type or use the environment; see below. They cost money as jobs' sandboxes do, and have the environment's GPU if it names one.",
    ),
  idleTimeoutMinutes: positive()
    .default(20)
    .describe("Modal only. Minutes without activity after which Modal ends a sandbox."),
  sandboxTimeoutMinutes: positive()
    .nullable()
    .default(null)
    .describe(
      "Longest life of a sandbox, in minutes. `null` = long enough for the job's time limit; on Modal a day at most.",
    ),
}).superRefine((environment, context) => {
  checkMountPaths(environment, (path, message) => context.addIssue({ code: "custom", path: [...path], message }));
  for (const { key, allowed } of limitProblems(environment))
    context.addIssue({ code: "custom", path: [key], message: allowed });
});

/** The commands of an environment's set-up, in order. */
export const setupOf = ({ setup }: Pick<Environment, "setup">): readonly string[] =>
  typeof setup === "string" ? [setup] : setup;

/** An environment with every key present. */
export type Environment = z.output<typeof environmentSchema>;
