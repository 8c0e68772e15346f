import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readSync } from "node:fs";
import type { Clock } from "../../shared/clock.ts";
import { sleep } from "../../shared/clock.ts";
import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import { type ExitStatus, FileError, type SandboxProcess } from "../port.ts";
import { openAnonymousFile } from "./anonymous-file.ts";
import type { CommandOutput } from "./command-output.ts";
import type { Enclosure, Launch } from "./isolation.ts";
import { collect } from "./local-files.ts";
import { NO_WORKDIR, STARTED } from "./shell-script.ts";

/** Between the end of a command and the news that its sandbox has ended. */
const NEWS_MS = 60;
/** From asking for a command to its first sign of life; on a machine in distress it takes a few seconds. */
const START_MS = 30_000;
const FOLLOW_MS = 500;
/** From killing a command to its end, which nothing but a device can delay. */
const DEATH_MS = 10_000;
const LONGEST_MARK_PAUSE_MS = 20;

export interface StartDeps {
  readonly enclosure: Enclosure;
  readonly launch: () => Launch;
  /** Closed by this, also when it rejects; so are the write ends. */
  readonly output: CommandOutput;
  /** Standard output and error of the command. */
  readonly writeEnds: readonly [number, number];
  readonly clock: Clock;
  readonly workdir: string;
  readonly logPath: string | null;
  /** Resolves when nobody reads the files of the sandbox with its processes stopped. */
  readonly undisturbed: () => Promise<void>;
  /** Its command has a terminal, given by a program that is to live and report the end. */
  readonly tty: boolean;
}

/** @throws PluginError `sandbox_lost`; FileError `file_not_found` for a missing working directory */
export async function startLocalProcess(deps: StartDeps): Promise<SandboxProcess> {
  const { output } = deps;
  let begun: Begun;
  try {
    begun = begin(deps);
  } catch (error) {
    output.close();
    throw error;
  } finally {
    // The command has its own; an end held here would hide that it has closed them.
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
    const message = `The command was not started: the sandbox let nothing start in ${START_MS / 1000} s. Processes in it may be stopping others, or use up all it has.`;
    throw new PluginError("sandbox_lost", message, { cause, retryable: true });
  });
  const pid = mark.startsWith(`${STARTED} `) ? mark.slice(2) : null;
  if (pid !== null && /^\d+$/.test(pid)) return handle(child, pid, finished, deps);
  // Whatever else stands in the script's file is not of our writing.
  begun.giveUp();
  const end = await within(finished, { ...limit, limitMs: DEATH_MS }).catch((error: Error) => error);
  const said = end instanceof Error ? end.message : String(Buffer.from(await collect(output, "stderr", 500))).trim();
  output.close();
  if (mark === NO_WORKDIR) {
    throw new FileError("file_not_found", `The working directory ${deps.workdir} does not exist in the sandbox.`);
  }
  const why = deps.enclosure.alive() ? `its walls could not be entered${said ? ` (${said})` : ""}` : "it has ended";
  throw new PluginError("sandbox_lost", `The command was not started in the sandbox: ${why}.`, { retryable: null });
}

interface Begun {
  readonly child: ChildProcess;
  readonly exited: Promise<RawExit>;
  /** The line the last stage left in its script's file; empty when it ended without. */
  readonly mark: Promise<string>;
  /** Kills what was spawned and looks for the mark no longer. */
  giveUp(): void;
}

function begin({ enclosure, launch: toLaunch, writeEnds, clock }: StartDeps): Begun {
  const launch = toLaunch();
  const content = Buffer.from(launch.script);
  let script: number | null = null;
  const letGo = () => {
    launch.settled();
    if (script !== null) closeSync(script);
  };
  try {
    script = openAnonymousFile(content);
    const child = spawn(launch.file, [...launch.args], {
      // The leader of its own process group, so that a signal reaches all of it and nothing of ours.
      detached: true,
      cwd: launch.cwd,
      env: launch.env,
      stdio: ["pipe", ...writeEnds, script],
    });
    const exited = exitOf(child);
    child.stdin?.on("error", ignore);
    const over = Promise.withResolvers<void>();
    let isGone = false;
    void exited.then(() => {
      isGone = true;
      over.resolve();
    });
    const giveUp = () => {
      if (child.pid !== undefined && !isGone) enclosure.abandon(child.pid);
      over.resolve(); // also where it does not die
    };
    return { child, exited, giveUp, mark: readMark(script, content.length, over.promise, clock).finally(letGo) };
  } catch (error) {
    letGo();
    throw error;
  }
}

async function readMark(script: number, from: number, ended: Promise<void>, clock: Clock): Promise<string> {
  const line = Buffer.alloc(64);
  let over = false;
  const end = ended.then(() => {
    over = true;
  });
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 1.3, LONGEST_MARK_PAUSE_MS)) {
    const last = over;
    const text = line.toString("latin1", 0, readSync(script, line, 0, line.length, from));
    const length = text.indexOf("\n");
    if (length >= 0) return text.slice(0, length);
    if (last) return "";
    await Promise.race([sleep(clock, pauseMs), end]);
  }
}

function handle(child: ChildProcess, pid: string, exited: Promise<RawExit>, deps: StartDeps): SandboxProcess {
  let killedByUs = false;
  let over = false;
  const immortal = Promise.withResolvers<Error>();
  const exit = Promise.race([exited, immortal.promise]).then(async (end): Promise<ExitStatus> => {
    over = true;
    deps.output.finish();
    if (end instanceof Error) return { kind: "unknown", reason: end.message };
    if (end.signal === "SIGKILL" && !killedByUs) {
      // The sandbox's own end kills its commands a moment before we hear of it.
      await Promise.race([deps.enclosure.ended, sleep(deps.clock, NEWS_MS)]);
      if (!deps.enclosure.alive())
        return { kind: "unknown", reason: "the sandbox ended while the command was running" };
    }
    if (end.signal !== null) return { kind: "signalled", signal: end.signal };
    return end.code === null
      ? { kind: "unknown", reason: "no exit code was reported" }
      : { kind: "exited", code: end.code };
  });
  let stopFollowing = () => {};
  const follow = () => {
    if (over || child.pid === undefined) return;
    deps.enclosure.follow(child.pid);
    stopFollowing = deps.clock.after(FOLLOW_MS, follow);
  };
  follow();
  void exit.then(() => stopFollowing());
  return {
    id: pid,
    logPath: deps.logPath,
    output: deps.output,
    exit,
    write: (input) => writeInput(child, input),
    async closeInput() {
      child.stdin?.end();
    },
    async signal(signal) {
      // One that is stopped while its files are read ends with it; it is not to be let go on, or stopped, by another.
      if (signal !== "SIGKILL") await deps.undisturbed();
      if (over || child.pid === undefined) return;
      deps.enclosure.signal(child.pid, signal, deps.tty && signal !== "SIGKILL");
      if (signal !== "SIGKILL" || killedByUs) return;
      killedByUs = true;
      const tooLate = deps.clock.after(DEATH_MS, () => {
        const why = "it did not die when it was killed; it waits for a device or a file system that does not answer";
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
