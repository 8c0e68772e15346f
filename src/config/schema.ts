import { z } from "zod";
import { type Environment, environmentSchema } from "./environment.ts";
import {
  amount,
  byGpuType,
  flag,
  hostPath,
  listOf,
  mapOf,
  oneOf,
  positive,
  section,
  sha256,
  text,
  wholeNumber,
} from "./fields.ts";

const environmentName = () => {
  const error = 'a name of letters, digits, ".", "_" and "-", at most 64 characters';
  return z.string({ error }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error });
};

type Environments = { readonly default: Environment } & Readonly<Record<string, Environment>>;

/**
 * Every option with its default; no default is repeated elsewhere. A key added here appears in the JSON Schema by its
 * description. Units are in the names: minutes, seconds, MiB, USD.
 */
export const optionsSchema = section({
  provider: oneOf(["auto", "modal", "local"])
    .default("auto")
    .describe('Where sandboxes run: "modal", "local", or "auto": Modal when credentials are found, else local.'),
  maxRunningJobs: wholeNumber(1)
    .default(8)
    .describe("Jobs running at once on this machine, over all OpenCode processes; further ones wait in the queue."),
  maxTasksPerCall: wholeNumber(1).default(32).describe("Tasks that one call of agents_start accepts."),
  gpuLimits: byGpuType({ total: wholeNumber(0).default(10) }, wholeNumber(0))
    .prefault({})
    .describe('GPUs, not sandboxes, held at once: "total", and any GPU type by name, e.g. { "total": 16, "H100": 8 }.'),
  budget: section({
    usdPerSession: positive()
      .nullable()
      .default(25)
      .describe("Ceiling on the estimated spend (model and compute) of one orchestrator session, USD; null = none."),
    warnAt: amount(0, 1).default(0.8).describe("Share of the ceiling at which orchestrator and user are warned."),
  })
    .prefault({})
    .describe("Spending."),
  jobTimeoutMinutes: positive().default(240).describe("Hard limit of one job's running time, minutes."),
  stallTimeoutMinutes: positive()
    .default(15)
    .describe("Minutes without model output or tool activity after which a turn is stopped and retried once."),
  checkpointMinutes: positive()
    .nullable()
    .default(30)
    .describe("Minutes between snapshots of a running job; null = only at the ends."),
  rescueMinutes: amount(0)
    .default(5)
    .describe("Minutes before a hard limit at which a job is stopped gently, snapshotted and its results kept."),
  parkAfterSeconds: amount(0)
    .default(60)
    .describe("Seconds after a job's last turn at which its sandbox is snapshotted and released."),
  environments: z
    .record(environmentName(), environmentSchema, {
      error: (issue) => (issue.code === "invalid_key" ? undefined : "an object of environments by name"),
    })
    .prefault({})
    .transform((named): Environments => ({ default: environmentSchema.parse({}), ...named }))
    .describe('Named recipes that sandboxes are made from; "default" always exists.'),
  modal: section({
    app: text("the name of a Modal app")
      .default("opencode-parallel-agents")
      .describe("Modal app that sandboxes belong to."),
    environment: text("the name of a Modal environment")
      .nullable()
      .default(null)
      .describe("Modal environment; null = the account's default."),
    createTimeoutSeconds: positive().default(120).describe("Longest wait for a sandbox to be created, seconds."),
    snapshotTimeoutSeconds: positive().default(300).describe("Longest wait for a snapshot, seconds."),
    snapshotTtlDays: positive().nullable().default(30).describe("Days a snapshot is kept; null = until removed."),
    persistence: oneOf(["snapshot_filesystem", "snapshot_directory", "tar"])
      .default("snapshot_filesystem")
      .describe("How a sandbox's files are kept."),
  })
    .prefault({})
    .describe("Modal."),
  local: section({
    isolation: oneOf(["auto", "bubblewrap", "seatbelt", "none"])
      .default("auto")
      .describe(
        'How local sandboxes are kept apart from this machine: "bubblewrap" (Linux), "seatbelt" (macOS), "none" (no protection); "auto" takes bubblewrap where it works, and never "seatbelt" or "none".',
      ),
    gpus: z
      .union([z.literal("auto"), listOf(wholeNumber(0), "a list")], {
        error: '"auto" or a list of device numbers, for example [0, 1]',
      })
      .default("auto")
      .describe('GPUs of this machine that local jobs may use: "auto" (all) or their numbers.'),
    readOnlyPaths: listOf(hostPath(), "a list of paths")
      .default([])
      .describe("Further files and folders of this machine that local jobs may read; absolute or with ~/."),
  })
    .prefault({})
    .describe("Local sandboxes."),
  prices: byGpuType({ cpuCore: amount(0).optional(), memoryGiB: amount(0).optional() }, amount(0))
    .prefault({})
    .describe("USD per hour, in place of the built-in prices: by GPU type, cpuCore, memoryGiB."),
  notify: section({
    resume: flag().default(true).describe("Whether a finished job starts a turn of an idle orchestrator."),
  })
    .prefault({})
    .describe("Notices."),
  stateDir: text('an absolute path, or one that begins with "~/"')
    .nullable()
    .default(null)
    .describe("Directory of the durable state; absolute or with ~/. Default: $XDG_DATA_HOME/opencode/parallel-agents."),
  trustedProjects: mapOf(hostPath(), sha256(), "an object of paths and SHA-256 sums")
    .default({})
    .describe(
      "Projects whose own file of options counts in full: the project's directory, absolute or with ~/, and the SHA-256 of the file. Only in your own file.",
    ),
});

/** All options as they are written, with their defaults. */
export type ParsedOptions = z.output<typeof optionsSchema>;

/** All options, every key present; `stateDir` and `local.readOnlyPaths` are absolute paths. */
export type Options = Omit<ParsedOptions, "stateDir"> & { readonly stateDir: string };

/** The options of a user who sets nothing. @param stateDir absolute path */
export const defaultOptions = (stateDir: string): Options => ({ ...optionsSchema.parse({}), stateDir });
