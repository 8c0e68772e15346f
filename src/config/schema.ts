import { z } from "zod";
import { benchmarkSchema } from "./benchmark.ts";
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
import { PROVIDER_NAMES } from "./provider-names.ts";

const environmentName = () => {
  const error = 'a name of letters, digits, ".", "_" and "-" that begins with a letter or digit, at most 64 characters';
  return z.string({ error }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error });
};

type Environments = { readonly default: Environment } & Readonly<Record<string, Environment>>;

/**
 * Every option with its default, which is repeated nowhere else. The JSON Schema and the tables in docs/options.md are
 * made from the descriptions here. Units are in the names: minutes, seconds, days, MiB, USD.
 */
export const optionsSchema = section({
  provider: oneOf(["auto", ...PROVIDER_NAMES])
    .default("auto")
    .describe(
      'Where sandboxes run: `"modal"`, `"local"` (this machine), or `"auto"`: on Modal if its credentials are found, else locally.',
    ),
  maxRunningJobs: wholeNumber(1)
    .default(8)
    .describe("Jobs that run at once, in all your OpenCode processes together. Further jobs wait in the queue."),
  maxTasksPerCall: wholeNumber(1).default(32).describe("Tasks that one call of `agents_start` accepts."),
  maxRunsPerCall: wholeNumber(1)
    .default(512)
    .describe(
      "Runs (commands without a model) that one call of `agents_start` accepts, every combination of a `matrix` counted.",
    ),
  gpuLimits: byGpuType({ total: wholeNumber(0).default(10) }, wholeNumber(0))
    .prefault({})
    .describe(
      'GPUs that jobs hold at once, in all your OpenCode processes together: `total`, and GPU types by name, as in `{ "total": 16, "H100": 8 }`. A sandbox with `H100:8` holds eight.',
    ),
  budget: section({
    usdPerSession: positive()
      .nullable()
      .default(25)
      .describe("Most that the jobs of one session may cost, in USD: model and compute, estimated. `null` = no limit."),
    warnAt: amount(0, 1)
      .default(0.8)
      .describe("Share of `usdPerSession` (0 to 1) at which you and the main agent are warned."),
  })
    .prefault({})
    .describe("Limits on spending."),
  jobTimeoutMinutes: positive().default(240).describe("Longest running time of a job, in minutes."),
  stallTimeoutMinutes: positive()
    .default(15)
    .describe(
      "Minutes without model output and without a running tool after which a turn is stopped. It is retried once, then the job fails with `stalled`.",
    ),
  checkpointMinutes: positive()
    .nullable()
    .default(30)
    .describe("Minutes between snapshots of a running job's files. `null` = only when its sandbox is given up."),
  rescueMinutes: amount(0)
    .default(5)
    .describe(
      "Minutes before the time limit of a job or of its sandbox at which the agent is told to wrap up. It is then stopped, and its files and last words are kept.",
    ),
  parkAfterSeconds: amount(0)
    .default(60)
    .describe(
      "Seconds between a job's last turn and the end of its sandbox, of which a snapshot is kept. A follow-up message revives it.",
    ),
  gpuLingerSeconds: amount(0)
    .default(60)
    .describe(
      "Most seconds for which the GPU of a `sandbox_exec` with `gpu` waits for the job's next such command, where waiting is likely to pay. It counts in the pool, and is given up when another job needs it or its own job ends.",
    ),
  environments: mapOf(environmentName(), environmentSchema, "an object of environments by name")
    .prefault({})
    .transform((named): Environments => ({ default: environmentSchema.parse({}), ...named }))
    .describe(
      "Named recipes for sandboxes, by name; see below. `default` always exists, and tasks that name no environment use it.",
    ),
  benchmarks: mapOf(environmentName(), benchmarkSchema, "an object of benchmarks by name")
    .prefault({})
    .describe("Named benchmarks for `experiments_score`, by name; see below."),
  ledger: section({
    scope: oneOf(["project", "session"])
      .default("project")
      .describe(
        'Which experiments `experiments_list` shows: `"project"`, those of all sessions in this project, or `"session"`, only those of its own session.',
      ),
  })
    .prefault({})
    .describe("The record of experiments."),
  jobSessions: oneOf(["auto", "own", "shared"])
    .default("auto")
    .describe(
      'Where OpenCode runs the sessions of jobs: `"own"`, in an instance of their own, at the project\'s `.git` folder, without the git snapshots that OpenCode takes of your files at every step, without MCP and language servers; `"shared"`, in yours; or `"auto"`, in their own in the terminal UI and `opencode run`, unless you have other plugins. See below.',
    ),
  nesting: oneOf(["runs", "none"])
    .default("runs")
    .describe(
      'What the agent of a job may start itself: `"runs"` (commands on its own files, within its limits), or `"none"`.',
    ),
  modal: section({
    app: text("the name of a Modal app")
      .default("opencode-parallel-agents")
      .describe("Modal app that the sandboxes belong to."),
    environment: text("the name of a Modal environment")
      .nullable()
      .default(null)
      .describe(
        "Modal environment. `null` = `MODAL_ENVIRONMENT`, else that of your Modal profile, else your account's default.",
      ),
    createTimeoutSeconds: positive()
      .default(120)
      .describe(
        "Longest time from asking for a sandbox without a GPU to its first command, in seconds. A sandbox with a GPU has 300 seconds from the moment it has a machine.",
      ),
    gpuWaitMinutes: positive()
      .default(20)
      .describe(
        'Longest wait for a GPU at Modal, in minutes. Of a preference list such as `"H100:8|H200:8"` each GPU is waited for its share: half of it with two. The job then fails with `no_capacity`. Also the longest wait for Modal itself while it cannot be reached.',
      ),
    buildTimeoutMinutes: positive()
      .default(20)
      .describe("Longest time that building an image may take, in minutes, from the beginning of the build."),
    createsPerSecond: positive()
      .default(4)
      .describe(
        "New sandboxes a second, over all OpenCode processes that share `stateDir`. Modal allows a workspace about 5; raise this only together with that limit.",
      ),
    createsBurst: wholeNumber(1)
      .default(10)
      .describe(
        "New sandboxes at once after a pause. Modal allows a workspace more, but how much of it others have used cannot be known.",
      ),
    snapshotTimeoutSeconds: positive().default(300).describe("Longest wait for a snapshot, in seconds."),
    snapshotTtlDays: positive()
      .nullable()
      .default(30)
      .describe("Days that a snapshot is kept. `null` = until you delete it."),
    persistence: oneOf(["snapshot_filesystem", "snapshot_directory", "tar"])
      .default("snapshot_filesystem")
      .describe(
        'How a job\'s files are kept when its sandbox is parked, and at checkpoints: `"snapshot_filesystem"`, all of them at Modal; `"snapshot_directory"`, only the work directory, at Modal; `"tar"`, only the work directory, up to 1 GiB, as a file on this machine. The last two put it into a new sandbox of the environment, without what was installed elsewhere. Prepared project files and `sandbox_snapshot` stay whole, at Modal.',
      ),
  })
    .prefault({})
    .describe("Sandboxes on Modal."),
  local: section({
    isolation: oneOf(["auto", "bubblewrap", "seatbelt", "none"])
      .default("auto")
      .describe(
        'How local sandboxes are isolated from this machine: `"bubblewrap"` (Linux), `"seatbelt"` (macOS, never tried by the authors), or `"none"`: no protection at all. `"auto"` takes bubblewrap where it works, and never one of the others.',
      ),
    gpus: z
      .union([z.literal("auto"), z.literal("none"), listOf(wholeNumber(0), "a list")], {
        error: '"auto", "none", or a list of the numbers that nvidia-smi gives GPUs, for example [0, 1]',
      })
      .default("auto")
      .describe(
        'NVIDIA GPUs of this machine that local jobs may use, each given to one job at a time: `"auto"` (all of them, or those in `CUDA_VISIBLE_DEVICES` where it is set for OpenCode), `"none"`, or a list of the numbers that `nvidia-smi` gives them, as in `[0, 1]`. Never tried by the authors with a real GPU.',
      ),
    readOnlyPaths: listOf(hostPath(), "a list of paths")
      .default([])
      .describe(
        "Further files and folders of this machine that local sandboxes may read; absolute paths, or paths that begin with `~/`.",
      ),
  })
    .prefault({})
    .describe("Local sandboxes."),
  prices: byGpuType({ cpuCore: amount(0).optional(), memoryGiB: amount(0).optional() }, amount(0))
    .prefault({})
    .describe(
      "Prices in USD per hour that replace built-in ones (Modal's public prices): `cpuCore`, `memoryGiB`, and GPU types by name.",
    ),
  notify: section({
    resume: flag()
      .default(true)
      .describe(
        "Whether a job's end starts a turn of the main agent if that is idle. `false`: it is told with your next message.",
      ),
  })
    .prefault({})
    .describe("Messages about the ends of jobs."),
  stateDir: text('an absolute path, or one that begins with "~/"')
    .nullable()
    .default(null)
    .describe(
      "Folder of the durable state (jobs, snapshots, local sandboxes), never inside the project, on a disk of this machine (machines must not share one); an absolute path, or one that begins with `~/`. `null` = `$XDG_DATA_HOME/opencode/parallel-agents`.",
    ),
  trustedProjects: mapOf(hostPath(), sha256(), "an object of paths and SHA-256 sums")
    .default({})
    .describe(
      "Projects whose file of options counts in full: the project's folder (absolute, or with `~/`) and the SHA-256 of the file. Allowed only in `~/.config/opencode/parallel-agents.jsonc`.",
    ),
});

/** All options after defaults, paths as the user wrote them. */
export type ParsedOptions = z.output<typeof optionsSchema>;

/** All options, every key present; `stateDir` and `local.readOnlyPaths` are absolute paths. */
export type Options = Omit<ParsedOptions, "stateDir"> & { readonly stateDir: string };

/** The options of a user who sets nothing. @param stateDir absolute path */
export const defaultOptions = (stateDir: string): Options => ({ ...optionsSchema.parse({}), stateDir });
