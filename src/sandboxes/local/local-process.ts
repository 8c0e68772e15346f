import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readFileSync, writeSync } from "node:fs";
import type { Clock } from "../../shared/clock.ts";
import { sleep } from "../../shared/clock.ts";
import { LabError } from "../../shared/error-code.ts";
import { type ExitStatus, FileError, type SandboxProcess, type SandboxSignal } from "../port.ts";
import type { Enclosure, Launch } from "./isolation.ts";
import { withAnonymousFile } from "./anonymous-file.ts";
import { OutputQueue } from "../output-queue.ts";
import { NO_WORKDIR, STARTED } from "./shell-script.ts";

// A command that has ended may leave output in its pipes: it is read until they are quiet for so long.
const QUIET_MS = 60;
// A child left behind may write for ever; more than this cannot have been in the pipes when the command ended.
const DRAIN_BYTES = 2 * 1024 * 1024;

export interface StartDeps {
  readonly enclosure: Enclosure;
  readonly launch: Launch;
  readonly clock: Clock;
  readonly workdir: string;
  readonly log: { readonly path: string; readonly fd: number } | null;
  /** Signals the command's process group by its pid inside; null where the spawned process is the command itself. */
  readonly signalInside: ((pid: string, signal: SandboxSignal) => Promise<void>) | null;
}

/** @throws LabError `sandbox_lost`; FileError `file_not_found` for a missing working directory */
export async function startLocalProcess(deps: StartDeps): Promise<SandboxProcess> {
  const { launch, enclosure } = deps;
  const child = withAnonymousFile(launch.script, (script) =>
    spawn(launch.file, [...launch.args], {
      // The leader of its own process group, so that a signal reaches all of it and nothing of ours.
      detached: true,
      cwd: launch.cwd,
      env: launch.env,
      stdio: ["pipe", "pipe", "pipe", script],
    }),
  );
  const exited = exitOf(child);
  const io = wireOutput(child, exited, deps);
  child.stdin?.on("error", ignore);
  const mark = await io.mark;
  launch.settled();
  if (mark.startsWith(`${STARTED} `)) return handle(child, mark.slice(2), io.queue, exited, deps);
  const end = await exited;
  io.stop();
  if (mark === NO_WORKDIR) {
    throw new FileError("file_not_found", `The working directory ${deps.workdir} does not exist in the sandbox.`);
  }
  const said = end instanceof Error ? end.message : io.firstError();
  const why = enclosure.alive() ? `its walls could not be entered${said ? ` (${said})` : ""}` : "it has ended";
  throw new LabError("sandbox_lost", `The command was not started in the sandbox: ${why}.`, { retryable: null });
}

function handle(child: ChildProcess, pid: string, queue: OutputQueue, exited: Promise<RawExit>, deps: StartDeps): SandboxProcess {
  let killedByUs = false;
  let over = false;
  const exit = exited.then(async (end): Promise<ExitStatus> => {
    over = true;
    if (end instanceof Error) return { kind: "unknown", reason: end.message };
    if (end.signal === "SIGKILL" && !killedByUs) {
      // The sandbox's own end kills its commands a moment before we hear of it.
      await Promise.race([deps.enclosure.ended, sleep(deps.clock, QUIET_MS)]);
      if (!deps.enclosure.alive()) return { kind: "unknown", reason: "the sandbox ended while the command was running" };
    }
    if (end.signal !== null) return { kind: "signalled", signal: end.signal };
    return end.code === null ? { kind: "unknown", reason: "no exit code was reported" } : { kind: "exited", code: end.code };
  });
  return {
    id: pid,
    logPath: deps.log?.path ?? null,
    output: queue,
    exit,
    write: (input) => writeInput(child, input),
    async closeInput() {
      child.stdin?.end();
    },
    async signal(signal) {
      if (over || child.pid === undefined) return;
      killedByUs ||= signal === "SIGKILL";
      if (deps.signalInside === null) return signalGroup(child.pid, signal);
      await deps.signalInside(pid, signal).catch((error: unknown) => {
        // The sandbox may be too full to start a killer.
        if (over || !deps.enclosure.alive()) return;
        if (signal !== "SIGKILL") throw error;
        signalWaitedFor(child.pid as number, signal);
      });
      // The nsenter outside stops itself with the command, and would never report its end.
      if (!over && (signal === "SIGCONT" || signal === "SIGKILL")) signalGroup(child.pid, "SIGCONT");
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

function wireOutput(child: ChildProcess, exited: Promise<RawExit>, deps: StartDeps) {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  const queue = new OutputQueue(() => {
    for (const stream of streams) stream.resume();
  });
  let firstError = "";
  let settleMark: (mark: string) => void = () => {};
  const mark = new Promise<string>((resolve) => (settleMark = resolve));
  // The first line of stdout is the start's own: nobody else has written to it before.
  let beforeMark: Buffer | null = Buffer.alloc(0);
  let open = streams.length;
  let bytesAfterExit = -1;
  let stopQuiet = () => {};
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    stopQuiet();
    for (const stream of streams) stream.destroy();
    if (deps.log) closeSync(deps.log.fd);
    settleMark("");
    queue.end();
  };
  const restartQuiet = () => {
    stopQuiet();
    if (stopped) return;
    // A reader that lags holds the pipes shut; they are not quiet because of that.
    stopQuiet = deps.clock.after(QUIET_MS, () => (queue.full ? restartQuiet() : stop()));
  };
  for (const [index, stream] of streams.entries()) {
    const name = index === 0 ? "stdout" : "stderr";
    stream.on("data", (data: Uint8Array) => {
      if (stopped) return;
      let bytes = data;
      if (name === "stdout" && beforeMark !== null) {
        beforeMark = Buffer.concat([beforeMark, data]);
        const lineEnd = beforeMark.indexOf(10);
        if (lineEnd < 0) return;
        settleMark(beforeMark.subarray(0, lineEnd).toString("latin1"));
        bytes = beforeMark.subarray(lineEnd + 1);
        beforeMark = null;
        if (bytes.length === 0) return;
      }
      if (name === "stderr" && firstError.length < 500) firstError += Buffer.from(bytes).toString("utf8").slice(0, 500);
      // Synchronous, so that the log is complete up to every chunk handed on; it is a write to the page cache.
      if (deps.log) writeAll(deps.log.fd, bytes);
      queue.push({ stream: name, bytes });
      if (queue.full) for (const each of streams) each.pause();
      if (bytesAfterExit >= 0) {
        bytesAfterExit += bytes.length;
        if (bytesAfterExit > DRAIN_BYTES) stop();
        else restartQuiet();
      }
    });
    stream.on("error", ignore);
    stream.once("close", () => --open === 0 && stop());
  }
  void exited.then((end) => {
    bytesAfterExit = 0;
    if (end instanceof Error) stop();
    else restartQuiet();
  });
  return { queue, stop, mark, firstError: () => firstError.trim().slice(0, 500) };
}

function writeAll(fd: number, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  } catch {
    // A full disk costs the log, not the command; the disk watch speaks of the disk.
  }
}

function writeInput(child: ChildProcess, input: Uint8Array): Promise<void> {
  const stdin = child.stdin;
  if (!stdin || stdin.destroyed || stdin.writableEnded) return Promise.reject(new Error("The command has closed its input."));
  return new Promise((resolve, reject) => {
    stdin.write(input, (error) => (error ? reject(new Error("The command has closed its input.", { cause: error })) : resolve()));
  });
}

function signalGroup(leaderPid: number, signal: SandboxSignal): void {
  try {
    process.kill(-leaderPid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The group of the one child of a process that is ours and not reaped: that child's pid cannot have been given away. */
function signalWaitedFor(waiterPid: number, signal: SandboxSignal): void {
  const child = Number(readFileSync(`/proc/${waiterPid}/task/${waiterPid}/children`, "utf8").trim());
  if (Number.isInteger(child) && child > 1) signalGroup(child, signal);
}

const ignore = () => {};
