import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Clock } from "../shared/clock.ts";

/*
 * The one place that starts git on the host. G1: git never runs with a job's repository as its own; a job's objects are
 * data in a store of ours. G2: no run may start another program: hooks, monitors, filters, external diffs, transports
 * and credential helpers are off. G3: every run has bounds of time, and of output where it is held in memory. G4:
 * what may be large goes from run to run by files: Bun reads ahead of whoever reads from a program, without bound.
 */

export interface GitRun {
  readonly args: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** Whose configuration counts: the user's for his own repository, nobody's for everything else. */
  readonly config: "user" | "none";
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Absolute path of a file that is its input instead. */
  readonly inputFile?: string;
  /** Of its output, in memory or in a file. */
  readonly maxBytes?: number;
  readonly limitMs?: number;
  /** What it reads comes from a job: its memory is bounded too. */
  readonly isUntrusted?: boolean;
  readonly signal?: AbortSignal;
}

export interface Git {
  /** Output of a run that ended with 0. @throws GitError */
  read(run: GitRun): Promise<Buffer>;
  /** Its output as it comes. The iteration throws GitError when the run fails. */
  stream(run: GitRun): AsyncIterable<Buffer>;
  /** Writes its output to a new file, at most `maxBytes`. @throws GitError */
  toFile(run: GitRun, path: string): Promise<void>;
}

/** A run that failed. `code` is null when it was killed, or could not be started. */
export class GitError extends Error {
  override readonly name = "GitError";
  readonly code: number | null;

  constructor(args: readonly string[], code: number | null, said: string) {
    const words = said
      .replace(/^(fatal|error): /gm, "")
      .trim()
      .slice(0, 500);
    super(`git ${args[0]} ${code === null ? "was stopped" : `ended with ${code}`}${words && `: ${words}`}`);
    this.code = code;
  }
}

const MiB = 1024 * 1024;
const MAX_OUTPUT = 256 * MiB;
const maxOf = ({ maxBytes }: GitRun): number => maxBytes ?? MAX_OUTPUT;
/** What `ulimit -f` of sh(1) counts in. */
const FILE_BLOCK = 512;
const LIMIT_MS = 10 * 60_000;
const UNTRUSTED_LIMIT_MS = 2 * 60_000;
const UNTRUSTED_MEMORY_KIB = 4 * 1024 * 1024;

/**
 * For glibc: what compressing one object took stays at hand for the next. By default it goes back to the system each
 * time, and where page faults are dear, as in virtual machines, that is most of what writing thousands of objects costs.
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
  const environment = ({ config, env }: GitRun): Record<string, string> => ({
    PATH: hostEnv.PATH ?? "/usr/local/bin:/usr/bin:/bin",
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_ATTR_NOSYSTEM: "1",
    ...KEEP_MEMORY,
    ...(config === "user" ? userConfig(hostEnv) : { GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" }),
    ...env,
  });

  /** @param output where it goes instead of a pipe; more than `maxBytes` of it end the run */
  function start(run: GitRun, input: FileHandle | null, output: FileHandle | null): ChildProcess {
    // check-ignore takes names and no patterns anyway, and refuses the option.
    const literal = run.args.includes("check-ignore") ? [] : ["--literal-pathspecs"];
    const args = [...SETTINGS, "--no-pager", "--no-replace-objects", ...literal, ...run.args];
    const stdio: StdioOptions = [input?.fd ?? "pipe", output?.fd ?? "pipe", "pipe"];
    const options = { cwd: run.cwd, env: environment(run), stdio };
    const limits = [
      ...(run.isUntrusted && process.platform === "linux" ? [`ulimit -v ${UNTRUSTED_MEMORY_KIB}`] : []),
      ...(output && Number.isFinite(maxOf(run)) ? [`ulimit -f ${Math.ceil(maxOf(run) / FILE_BLOCK)}`] : []),
    ];
    if (limits.length === 0) return spawn("git", args, options);
    return spawn("/bin/sh", ["-c", `${limits.join("; ")}; exec git "$@"`, "git", ...args], options);
  }

  async function* stream(run: GitRun, output: FileHandle | null = null): AsyncGenerator<Buffer> {
    if (run.signal?.aborted) throw new GitError(run.args, null, "it is no longer wanted");
    const input = run.inputFile === undefined ? null : await open(run.inputFile);
    const child = start(run, input, output);
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
    const abort = () => kill("it is no longer wanted");
    run.signal?.addEventListener("abort", abort);
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      if (said.length < 8_192) said += chunk.toString("utf8");
    });
    const fed = feed(child, run.input);
    try {
      let length = 0;
      if (child.stdout) {
        for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
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
      if (code !== 0) throw new GitError(run.args, code, said);
    } finally {
      child.kill("SIGKILL"); // whoever stops reading early wants no more of it
      stopTimer();
      run.signal?.removeEventListener("abort", abort);
      await input?.close();
    }
  }

  return {
    async read(run) {
      const parts: Buffer[] = [];
      for await (const chunk of stream(run)) parts.push(chunk);
      return Buffer.concat(parts);
    },
    stream,
    async toFile(run, path) {
      const output = await open(path, "wx", 0o600);
      try {
        for await (const _ of stream(run, output)); // none of it comes here
      } finally {
        await output.close();
      }
    },
  };
}

/** Who owns what, what is ignored everywhere, the user's name: these are read from his own files. */
function userConfig(hostEnv: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = [
    ...["HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"],
    "GIT_CEILING_DIRECTORIES",
  ];
  return Object.fromEntries(names.flatMap((name) => (hostEnv[name] === undefined ? [] : [[name, hostEnv[name]]])));
}

/** Resolves when all is written. A program that stops reading early says why by its exit code. */
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
