import type { ChildProcess, StdioOptions } from "node:child_process";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../shared/clock.ts";
import { startProgram } from "../shared/start-program.ts";
import { GitError } from "./git-error.ts";

/*
 * The only place that starts git on the host.
 * G1: git never runs in a job's repository; a job's objects are data in a store of our own.
 * G2: git never starts another program: hooks, monitors, filters, external diffs, transports and credential helpers are
 *     switched off.
 * G3: every run has a time limit, and a limit on output that is held in memory.
 * G4: large data passes from one run to the next in a file: Bun buffers a program's output without bound.
 */

export interface GitRun {
  readonly args: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** Whose configuration applies: the user's for his own repository, nobody's for everything else. */
  readonly config: "user" | "none";
  readonly env?: Readonly<Record<string, string>>;
  /** Settings that come after the user's own, and before those of this file. They are not seen in a list of processes. */
  readonly settings?: readonly (readonly [key: string, value: string])[];
  readonly input?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Absolute path of a file to use as input, in place of `input`. */
  readonly inputFile?: string;
  /** Limit of the output, in memory or in a file. */
  readonly maxBytes?: number;
  readonly limitMs?: number;
  /** Whether it reads data of a job, so that its memory is limited and its time limit is shorter. */
  readonly isUntrusted?: boolean;
  readonly signal?: AbortSignal;
}

export interface Git {
  /** Variables of the host's environment, which only some runs are given. */
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  /** The output of a successful run. @throws GitError */
  read(run: GitRun): Promise<Buffer>;
  /** The output as it arrives. The iteration throws GitError when the run fails. */
  stream(run: GitRun): AsyncIterable<Buffer>;
  /** Writes the output, at most `maxBytes`, to a file that must not exist yet. @throws GitError */
  toFile(run: GitRun, path: string): Promise<void>;
}

/** The output of a query that exits with 1 when it finds nothing; null in that case. Other failures are thrown. */
export const nullIfNotFound = (query: Promise<Buffer>): Promise<Buffer | null> =>
  query.catch((error: unknown) => {
    if (error instanceof GitError && error.code === 1) return null;
    throw error;
  });

const MiB = 1024 * 1024;
const MAX_OUTPUT = 256 * MiB;
const maxOf = ({ maxBytes }: GitRun): number => maxBytes ?? MAX_OUTPUT;
/** Bytes per unit of `ulimit -f` in sh(1). */
const FILE_BLOCK = 512;
const LIMIT_MS = 10 * 60_000;
const UNTRUSTED_LIMIT_MS = 2 * 60_000;
const UNTRUSTED_MEMORY_KIB = 4 * 1024 * 1024;

/**
 * Makes glibc keep the memory that compressing one object needed for the next one. By default it returns the memory each
 * time; where page faults are expensive, as in virtual machines, that takes most of the time of writing thousands of objects.
 */
export const KEEP_MEMORY = { MALLOC_MMAP_THRESHOLD_: `${8 * MiB}`, MALLOC_TRIM_THRESHOLD_: `${128 * MiB}` };

const SETTINGS = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.untrackedCache=false",
  "core.askPass=",
  "credential.helper=",
  "protocol.allow=never",
  "diff.external=",
  "gc.auto=0",
  "maintenance.auto=false",
  "submodule.recurse=false",
  "safe.bareRepository=explicit",
  "tar.umask=0022",
].flatMap((setting) => ["-c", setting]);

export function createGit(clock: Clock, hostEnv: Readonly<Record<string, string | undefined>>): Git {
  const environment = ({ config, env, settings = [] }: GitRun): Record<string, string> => ({
    ...baseEnvironment(config),
    ...env,
    ...Object.fromEntries(settings.map(([, value], n) => [settingName(n), value])),
  });

  const baseEnvironment = (config: GitRun["config"]): Record<string, string> => ({
    PATH: hostEnv.PATH ?? "/usr/local/bin:/usr/bin:/bin",
    ...libraryPaths(hostEnv),
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: "none", // the user's settings may allow single protocols, by which git fetches what a partial clone lacks
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_LAZY_FETCH: "1",
    ...KEEP_MEMORY,
    ...(config === "user"
      ? userConfig(hostEnv)
      : { GIT_CONFIG_NOSYSTEM: "1", GIT_ATTR_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" }),
  });

  /** @param output file to write to in place of a pipe; the run fails when it exceeds `maxBytes` */
  function start(run: GitRun, input: FileHandle | null, output: FileHandle | null): ChildProcess {
    // check-ignore takes no patterns anyway, and rejects the option.
    const literal = run.args.includes("check-ignore") ? [] : ["--literal-pathspecs"];
    // Not GIT_CONFIG_COUNT, which the user's GIT_CONFIG_PARAMETERS would take precedence over.
    const settings = (run.settings ?? []).map(([key], n) => `--config-env=${key}=${settingName(n)}`);
    const args = [...settings, ...SETTINGS, "--no-pager", "--no-replace-objects", ...literal, ...run.args];
    const stdio: StdioOptions = [input?.fd ?? "pipe", output?.fd ?? "pipe", "pipe"];
    const options = { cwd: run.cwd, env: environment(run), stdio };
    const limits = [
      ...(run.isUntrusted && process.platform === "linux" ? [`ulimit -v ${UNTRUSTED_MEMORY_KIB}`] : []),
      ...(output && Number.isFinite(maxOf(run)) ? [`ulimit -f ${Math.ceil(maxOf(run) / FILE_BLOCK)}`] : []),
    ];
    if (limits.length === 0) return startProgram("git", args, options);
    return startProgram("/bin/sh", ["-c", `${limits.join("; ")}; exec git "$@"`, "git", ...args], options);
  }

  async function* stream(run: GitRun, output: FileHandle | null = null): AsyncGenerator<Buffer> {
    if (run.signal?.aborted) throw new GitError(run.args, null, "it was cancelled");
    const input = run.inputFile === undefined ? null : await open(run.inputFile);
    let child: ChildProcess;
    try {
      child = start(run, input, output);
    } catch (error) {
      await input?.close();
      throw new GitError(run.args, null, (error as Error).message);
    }
    let killedFor = "";
    const kill = (why: string) => {
      killedFor ||= why;
      child.kill("SIGKILL");
    };
    const ended = new Promise<number | null>((resolve) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        killedFor ||= error.code === "ENOENT" ? "git is not installed" : error.message;
        resolve(null);
      });
      child.once("close", resolve);
    });
    const limitMs = run.limitMs ?? (run.isUntrusted ? UNTRUSTED_LIMIT_MS : LIMIT_MS);
    const stopTimer = clock.after(limitMs, () => kill(`it took longer than ${limitMs / 1000} s`));
    const abort = () => kill("it was cancelled");
    run.signal?.addEventListener("abort", abort);
    let errorOutput = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      if (errorOutput.length < 8_192) errorOutput += chunk.toString("utf8");
    });
    const fed = feed(child, run.input);
    try {
      let length = 0;
      if (child.stdout) {
        for await (const chunk of outputOf(child.stdout, ended)) {
          length += chunk.length;
          if (length > maxOf(run)) {
            kill(`it printed more than ${Math.floor(maxOf(run) / MiB)} MiB`);
            break;
          }
          yield chunk;
        }
      }
      const code = await ended;
      await fed;
      if (killedFor !== "") throw new GitError(run.args, null, killedFor);
      if (code !== 0) throw new GitError(run.args, code, errorOutput);
    } finally {
      child.kill("SIGKILL"); // in case the caller stopped reading early
      stopTimer();
      run.signal?.removeEventListener("abort", abort);
      await input?.close();
    }
  }

  return {
    hostEnv,
    async read(run) {
      const parts: Buffer[] = [];
      for await (const chunk of stream(run)) parts.push(chunk);
      return Buffer.concat(parts);
    },
    stream,
    async toFile(run, path) {
      const output = await open(path, "wx", 0o600);
      try {
        for await (const _ of stream(run, output)); // the output goes to the file
      } finally {
        await output.close();
      }
    },
  };
}

/** Ends where the program does: Bun fails the output of one that could not be started before it says so. */
async function* outputOf(stdout: AsyncIterable<Buffer>, ended: Promise<number | null>): AsyncIterable<Buffer> {
  try {
    yield* stdout;
  } catch (error) {
    if ((await ended) !== null) throw error;
  }
}

/**
 * Environment in which git reads the user's own configuration: trusted owners, global ignore rules, his name. That
 * includes settings that are given in the environment, which containers use for `safe.directory`; ours take precedence.
 */
function userConfig(hostEnv: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = [
    ...[
      "HOME",
      "XDG_CONFIG_HOME",
      "GIT_CONFIG_NOSYSTEM",
      "GIT_ATTR_NOSYSTEM",
      "GIT_CONFIG_GLOBAL",
      "GIT_CONFIG_SYSTEM",
    ],
    ...["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_CEILING_DIRECTORIES"],
    ...settingNames(Number(hostEnv.GIT_CONFIG_COUNT) || 0),
  ];
  return Object.fromEntries(names.flatMap((name) => (hostEnv[name] === undefined ? [] : [[name, hostEnv[name]]])));
}

/** Where the user's git finds its libraries, as with environment modules of clusters. A relative folder would be one of the project. */
function libraryPaths(hostEnv: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];
  return Object.fromEntries(
    names.flatMap((name) => {
      const folders = (hostEnv[name] ?? "").split(":").filter((folder) => folder.startsWith("/"));
      return folders.length === 0 ? [] : [[name, folders.join(":")]];
    }),
  );
}

const settingNames = (count: number): string[] =>
  Array.from({ length: Math.min(count, MAX_SETTINGS) }, (_, n) => [
    `GIT_CONFIG_KEY_${n}`,
    `GIT_CONFIG_VALUE_${n}`,
  ]).flat();

/** Far more than anybody sets by hand. */
const MAX_SETTINGS = 10_000;

/** Environment variable with the value of the nth setting of a run. */
const settingName = (n: number): string => `PARALLEL_AGENTS_SETTING_${n}`;

/** Writes the input. Resolves early if git stops reading, in which case the exit code tells why. */
async function feed(child: ChildProcess, input: GitRun["input"]): Promise<void> {
  const { stdin } = child;
  if (!stdin) return;
  stdin.on("error", () => {});
  if (input === undefined || input instanceof Uint8Array) {
    stdin.end(input);
    return;
  }
  try {
    await pipeline(input, stdin);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE" || child.exitCode !== null || child.killed) return;
    child.kill("SIGKILL");
    throw error;
  }
}
