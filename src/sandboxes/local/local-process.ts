import type { ChildProcess } from "node:child_process";
import { closeSync, readSync } from "node:fs";
import type { Clock } from "../../shared/clock.ts";
import { sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { startProgram } from "../../shared/start-program.ts";
import { within } from "../../shared/time-limit.ts";
import { type ExitStatus, FileError, type SandboxProcess } from "../port.ts";
import { alignedPause } from "./aligned-pause.ts";
import { openAnonymousFile, withOpenFiles } from "./anonymous-file.ts";
import type { CommandOutput } from "./command-output.ts";
import type { Isolation, Launch, ProcessGroup } from "./isolation.ts";
import { collect } from "./local-files.ts";
import { NO_WORKDIR, STARTED } from "./shell-script.ts";

/** How long after a command's death the news that its whole sandbox ended may arrive. */
const SANDBOX_END_MS = 60;
/** From asking for a command to its first sign of life. It takes a few seconds on an overloaded machine. */
const START_MS = 30_000;
const RESUME_WAITER_MS = 2_000;
/** From killing a command to its end, which only a device that does not answer can delay. */
const DEATH_MS = 10_000;
const MAX_MARK_PAUSE_MS = 20;
const GROUP_POLL_MS = 50;
/** Helpers of a program, as Python's resource tracker, end a moment after it. */
const HELPERS_MS = 500;

export interface LocalProcessDeps {
  readonly isolation: Isolation;
  readonly launch: () => Launch;
  /** Closed by `startLocalProcess`, also when it rejects. So are the write ends. */
  readonly output: CommandOutput;
  /** Standard output and error of the command. */
  readonly writeEnds: readonly [number, number];
  readonly clock: Clock;
  readonly workdir: string;
  readonly logPath: string | null;
  /** Resolves when the sandbox is not frozen. */
  readonly unfrozen: () => Promise<void>;
  /** Whether the sandbox is being ended, and all its commands with it. */
  readonly isHalted: () => boolean;
  /** The command has a terminal, from a program (`script`) that must survive signals to report the end. */
  readonly tty: boolean;
  readonly hasInput: boolean;
}

/** @throws PluginError `sandbox_lost`; FileError `file_not_found` for a missing working directory */
export async function startLocalProcess(deps: LocalProcessDeps): Promise<SandboxProcess> {
  const { output } = deps;
  let begun: Begun;
  try {
    begun = begin(deps);
  } catch (error) {
    output.close();
    throw error;
  } finally {
    // The command has copies of its own. Keeping ours open would hide that the command closed its ends.
    for (const fd of deps.writeEnds) closeSync(fd);
  }
  const { child, exited } = begun;
  const finished = exited.then((end) => {
    output.finish();
    return end;
  });
  const limit = { clock: deps.clock, limitMs: START_MS, doing: "Starting a command in the sandbox" };
  const mark = await within(begun.mark, limit).catch((cause: unknown) => {
    begun.giveUp();
    output.close();
    const message = `The command was not started: the sandbox let nothing start within ${START_MS / 1000} s. Its processes may be stopping others or using up all its resources.`;
    throw new PluginError("sandbox_lost", message, { cause, retryable: true });
  });
  const pid = mark.startsWith(`${STARTED} `) ? mark.slice(2) : null;
  if (pid !== null && /^\d+$/.test(pid)) return handle(child, pid, finished, deps);
  // Any other text in the script's file was not written by us.
  begun.giveUp();
  const end = await within(finished, { ...limit, limitMs: DEATH_MS }).catch((error: Error) => error);
  const said = end instanceof Error ? end.message : String(Buffer.from(await collect(output, "stderr", 500))).trim();
  output.close();
  if (mark === NO_WORKDIR) {
    throw new FileError("file_not_found", `The working directory ${deps.workdir} does not exist in the sandbox.`);
  }
  const why = deps.isolation.alive() ? `its isolation could not be entered${said ? ` (${said})` : ""}` : "it has ended";
  throw new PluginError("sandbox_lost", `The command was not started in the sandbox: ${why}.`, { retryable: null });
}

interface Begun {
  readonly child: ChildProcess;
  readonly exited: Promise<RawExit>;
  /** The line that the last stage wrote into its script's file; empty when it ended without writing one. */
  readonly mark: Promise<string>;
  /** Kills what was spawned and stops looking for the mark. */
  giveUp(): void;
}

function begin({ isolation, launch: toLaunch, writeEnds, clock, hasInput }: LocalProcessDeps): Begun {
  const launch = toLaunch();
  const content = Buffer.from(launch.script);
  let script: number | null = null;
  const release = () => {
    launch.settled();
    if (script !== null) closeSync(script);
  };
  try {
    script = openAnonymousFile(content);
    const own = [hasInput ? "pipe" : "ignore", ...writeEnds, script] as const;
    const child = withOpenFiles(launch.opens, (more) =>
      startProgram(launch.file, [...launch.args], {
        // It leads its own process group, so that a signal reaches all of that group and none of our processes.
        detached: true,
        cwd: launch.cwd,
        env: launch.env,
        stdio: [...own, ...more],
      }),
    );
    const exited = exitOf(child);
    child.stdin?.on("error", ignore);
    const over = Promise.withResolvers<void>();
    let isGone = false;
    void exited.then(() => {
      isGone = true;
      over.resolve();
    });
    const giveUp = () => {
      if (child.pid !== undefined && !isGone) isolation.killLaunch(child.pid);
      over.resolve(); // even if it does not die
    };
    return { child, exited, giveUp, mark: readMark(script, content.length, over.promise, clock).finally(release) };
  } catch (error) {
    release();
    throw error;
  }
}

async function readMark(script: number, from: number, ended: Promise<void>, clock: Clock): Promise<string> {
  const line = Buffer.alloc(64);
  let over = false;
  const end = ended.then(() => {
    over = true;
  });
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 1.5, MAX_MARK_PAUSE_MS)) {
    const last = over;
    const text = line.toString("latin1", 0, readSync(script, line, 0, line.length, from));
    const length = text.indexOf("\n");
    if (length >= 0) return text.slice(0, length);
    if (last) return "";
    await Promise.race([sleep(clock, alignedPause(clock.now(), pauseMs)), end]);
  }
}

function handle(child: ChildProcess, pid: string, exited: Promise<RawExit>, deps: LocalProcessDeps): SandboxProcess {
  let killedByUs = false;
  let group: ProcessGroup | null = null;
  let over = false;
  const immortal = Promise.withResolvers<Error>();
  const exit = Promise.race([exited, immortal.promise]).then(async (end): Promise<ExitStatus> => {
    over = true;
    deps.output.finish();
    if (end instanceof Error) return { kind: "unknown", reason: end.message };
    const withSandbox = { kind: "unknown", reason: "the sandbox ended while the command was running" } as const;
    if (end.signal === "SIGKILL" && deps.isHalted()) return withSandbox;
    if (end.signal === "SIGKILL" && !killedByUs) {
      // When a sandbox ends, its commands die a moment before we learn of its end.
      await Promise.race([deps.isolation.ended, sleep(deps.clock, SANDBOX_END_MS)]);
      if (!deps.isolation.alive()) return withSandbox;
    }
    if (end.signal !== null) return { kind: "signalled", signal: end.signal };
    return end.code === null
      ? { kind: "unknown", reason: "no exit code was reported" }
      : { kind: "exited", code: end.code };
  });
  let stopResuming = () => {};
  const resumeWaiter = () => {
    if (over || child.pid === undefined) return;
    deps.isolation.resumeWaiter(child.pid);
    stopResuming = deps.clock.after(alignedPause(deps.clock.now(), RESUME_WAITER_MS), resumeWaiter);
  };
  resumeWaiter();
  void exit.then(() => stopResuming());
  return {
    id: pid,
    logPath: deps.logPath,
    output: deps.output,
    exit,
    async write(input) {
      await writeInput(child, input);
      deps.output.expectAnswer();
    },
    async closeInput() {
      child.stdin?.end();
    },
    async endGroup(graceMs) {
      const { clock } = deps;
      for (const until = clock.now() + graceMs; group?.isAlive() && clock.now() < until; )
        await sleep(clock, GROUP_POLL_MS);
      const isLeft = group?.isAlive() === true;
      group?.kill();
      return isLeft;
    },
    async leavesRunning() {
      const { clock, isolation } = deps;
      for (const until = clock.now() + HELPERS_MS; isolation.hasOrphans(); await sleep(clock, GROUP_POLL_MS))
        if (clock.now() >= until) return true;
      return false;
    },
    async signal(signal) {
      // A frozen command may be killed, but must not be resumed or stopped by any other signal.
      if (signal !== "SIGKILL") await deps.unfrozen();
      if (over || child.pid === undefined) return;
      group ??= deps.isolation.group(child.pid);
      deps.isolation.signal(child.pid, signal, deps.tty && signal !== "SIGKILL");
      deps.output.expectAnswer();
      if (signal !== "SIGKILL" || killedByUs) return;
      killedByUs = true;
      const tooLate = deps.clock.after(DEATH_MS, () => {
        const why =
          "it did not die when it was killed: it is waiting for a device or a file system that does not answer";
        immortal.resolve(new Error(why));
      });
      void exit.finally(tooLate);
    },
  };
}

type RawExit = { readonly code: number | null; readonly signal: string | null } | Error;

function exitOf(child: ChildProcess): Promise<RawExit> {
  return new Promise((resolve) => {
    child.once("error", resolve);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

function writeInput(child: ChildProcess, input: Uint8Array): Promise<void> {
  const stdin = child.stdin;
  if (!stdin || stdin.destroyed || stdin.writableEnded)
    return Promise.reject(new Error("The command has closed its input."));
  return new Promise((resolve, reject) => {
    stdin.write(input, (error) =>
      error ? reject(new Error("The command has closed its input.", { cause: error })) : resolve(),
    );
  });
}

const ignore = () => {};
