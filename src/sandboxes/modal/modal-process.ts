import type { ContainerProcess } from "modal";
import { sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import { type ExecRequest, type ExitStatus, FileError, type SandboxProcess, type SandboxSignal } from "../port.ts";
import { UnreachableError } from "../unreachable.ts";
import { wholeSecondsMs } from "./durations.ts";
import { toExitStatus } from "./exit-status.ts";
import { isAway, isRetryable, kindOf, messageOf } from "./modal-error.ts";
import { OutputQueue } from "./output-queue.ts";
import { type OutputReader, openOutput } from "./output-reader.ts";
import type { SandboxCore } from "./sandbox-core.ts";
import { lineFor, MAX_LINE_BYTES, startIn } from "./waiting-shell.ts";
import {
  END_GROUP_SCRIPT,
  KILLED,
  logPathOf,
  NO_WORKDIR,
  pidPathOf,
  SIGNAL_SCRIPT,
  STARTED,
  wrapperScript,
} from "./wrapper-script.ts";

const STDIN_CHUNK_BYTES = 256 * 1024;
// The SDK allows 65,536 UTF-16 units over all arguments; the server may count bytes instead.
const MAX_SCRIPT_BYTES = 60_000;
const MAX_WORD_BYTES = 120_000;
const CLOSED_INPUT = "The command has closed its input.";
/** The SDK fails every later write with the error of the first one that failed. */
const unreached = (error: unknown): string =>
  `The sandbox could not be reached when input was written (${messageOf(error)}). The command may have got some of it, and can be given no more.`;

type Child = ContainerProcess<Uint8Array>;

/**
 * Starts a command through the wrapper script, and returns once the command is about to run.
 * @throws PluginError `sandbox_lost`; FileError `file_not_found` for a missing working directory, `file_failed` for a command
 * that cannot be started
 * @source Modal JS SDK 0.11.1, Sandbox.exec
 */
export async function startModalProcess(
  core: SandboxCore,
  request: ExecRequest & { readonly workdir: string },
): Promise<SandboxProcess> {
  const id = core.ids();
  const terminal = request.tty ? (core.hasScript ? "script" : "modal") : null;
  const keepLog = request.keepLog === true && terminal !== "modal";
  const words = await shipLongScript(core, request.argv, id);
  const { workdir, noInput = false, oneStream = false } = request;
  const script = wrapperScript({ id, argv: words, workdir, terminal, keepLog, noInput, oneStream });
  const argv = await core.shipScript(script, MAX_SCRIPT_BYTES, id);
  const kill = () =>
    signalByID(core, id, "SIGKILL").catch((error: unknown) =>
      core.log("debug", "A command that started late was not killed", { sandboxID: core.id, error: messageOf(error) }),
    );
  const env = usableNames({ ...core.env, ...request.env });
  const line = noInput && terminal === null ? lineFor(argv, env) : null;
  const shell = line && line.length <= MAX_LINE_BYTES ? core.takeShell() : null;
  const starting =
    line && shell
      ? startIn(shell, line)
      : core.call((sandbox) =>
          sandbox.exec(argv, {
            mode: "binary",
            stdout: "pipe",
            stderr: "pipe",
            // The sandbox's lifetime, which ends the command anyway: without a limit the SDK would wait for its end forever.
            timeoutMs: wholeSecondsMs(core.lifetimeMs),
            env,
            pty: terminal === "modal",
          }),
        );
  const limits = { clock: core.clock, limitMs: core.limits.startMs, doing: `Starting a command in sandbox ${core.id}` };
  const child: Child = await within(starting, { ...limits, onLate: () => void kill() }).catch(core.rethrowTranslated);
  const queue = new OutputQueue(() => output.resume(), core.clock);
  const stdout = shell ? { getReader: () => shell.stdout } : child.stdout;
  const streams = oneStream ? [stdout] : [stdout, child.stderr];
  const output = openOutput(streams, id, queue, core.clock);
  const first = await within(output.firstLine, limits).catch(async (error: unknown) => {
    output.stop();
    void kill();
    throw await unread(core, error);
  });
  if (first.startsWith(`${STARTED} `))
    return processOf(core, child, id, { pid: first.slice(2), queue, output, keepLog, noInput });
  if (first === NO_WORKDIR) {
    output.stop();
    throw new FileError("file_not_found", `The working directory ${request.workdir} does not exist in the sandbox.`);
  }
  const code = await within(output.code, limits).catch(() => null);
  output.stop();
  if (code !== null)
    throw new FileError(
      "file_failed",
      `The command could not be started: the shell that should start it ended with ${code}.`,
    );
  if (output.failure() !== null) {
    void kill();
    throw await unread(core, output.failure());
  }
  const why = (await core.findEndReason()) ?? "its shell did not answer";
  throw new PluginError("sandbox_lost", `The command was not started in sandbox ${core.id}: ${why}.`, {
    retryable: null,
  });
}

/** The failure of a command that Modal has accepted: nobody knows whether it has begun. */
async function unread(core: SandboxCore, error: unknown): Promise<PluginError> {
  const why = await core.findEndReason();
  const message = `The output of a command in sandbox ${core.id} could not be read (${why ?? messageOf(error)}): the command may have run, and was killed.`;
  if (why === null && isAway(error)) return new UnreachableError("sandbox_lost", message, { cause: error });
  return new PluginError("sandbox_lost", message, { cause: error, retryable: why === null ? null : false });
}

/** Linux accepts no argument of 128 KiB. A shell's script can be longer, so it goes into a file that the shell reads. */
async function shipLongScript(core: SandboxCore, argv: readonly string[], id: string): Promise<readonly string[]> {
  const isLong = argv.map((word) => Buffer.byteLength(word) > MAX_WORD_BYTES);
  if (!isLong.includes(true)) return argv;
  const [shell = "", option, text = "", , ...rest] = argv;
  if (!/(^|\/)(ba|da|z|k)?sh$/.test(shell) || option !== "-c" || isLong.lastIndexOf(true) !== 2)
    throw new FileError("file_failed", "An argument of a command can have at most 128 KiB: write it to a file first.");
  return [shell, await core.shipFile(text, `${id}.cmd`), ...rest];
}

interface Started {
  readonly pid: string;
  readonly queue: OutputQueue;
  readonly output: OutputReader;
  readonly keepLog: boolean;
  readonly noInput: boolean;
}

function processOf(
  core: SandboxCore,
  child: Child,
  id: string,
  { pid, queue, output, keepLog, noInput }: Started,
): SandboxProcess {
  const sent = new Set<SandboxSignal>();
  const waiting = new AbortController();
  const { promise: exit, resolve } = Promise.withResolvers<ExitStatus>();
  let end: ExitStatus | null = null;
  const settle = (status: ExitStatus) => {
    if (end !== null) return;
    end = status;
    waiting.abort();
    resolve(status);
  };
  /** A command whose end is not known may run on, for as long as its sandbox does. */
  const mayRun = () => end === null || (end.kind === "unknown" && core.endReason === null);
  const unknown = (reason: string): ExitStatus => ({ kind: "unknown", reason });
  const endedMeanwhile = (why: string) => unknown(`the sandbox ended while the command was running: ${why}`);
  /** Settles a command without a mark by the server's answer, which is about the wrapper and not the command. */
  const askServer = async () => {
    const code = await within(waitFor(child, waiting.signal), {
      clock: core.clock,
      limitMs: core.limits.exitMs,
      doing: "Asking for an exit code",
    }).catch(() => null);
    if (end !== null) return;
    // A slow reader may still reach the mark, which is more precise.
    if (code !== null && core.endReason === null) await sleep(core.clock, core.limits.graceMs, waiting.signal);
    if (end !== null) return;
    const why = await core.findEndReason();
    if (why !== null) settle(endedMeanwhile(why));
    else if (code === null)
      settle(
        unknown(
          `it may still run, as process ${pid}, but could not be followed${output.failure() === null ? "" : `: ${messageOf(output.failure())}`}`,
        ),
      );
    else if (code > 128 && toExitStatus(code, sent).kind === "exited")
      settle(unknown(`it ended without reporting its exit code; what ran it ended with ${code}`));
    else settle(toExitStatus(code, sent));
  };
  void output.code.then(async (code) => {
    if (code !== null) return settle(toExitStatus(code, sent));
    await askServer();
  });
  const endWithSandbox = (why: string | null) => {
    settle(endedMeanwhile(why ?? "it was terminated"));
    output.stop();
  };
  void core.closing.then(async () => {
    await sleep(core.clock, core.limits.graceMs, waiting.signal);
    endWithSandbox(await core.findEndReason());
  });
  const input = noInput ? NO_INPUT : openInput(child, exit);
  return {
    id: pid,
    logPath: keepLog ? logPathOf(id) : null,
    output: queue,
    exit,
    write: (bytes) => (end !== null ? Promise.reject(new Error(CLOSED_INPUT)) : input.write(bytes)),
    closeInput: () => (end !== null ? Promise.resolve() : input.close()),
    async endGroup(graceMs) {
      if (sent.size === 0 || core.endReason !== null) return false;
      const argv = ["/bin/sh", "-c", END_GROUP_SCRIPT, "end", pid, String(Math.ceil(graceMs / 100))];
      const limitMs = graceMs + core.limits.execMs;
      try {
        return (await core.execOnce(argv, "Ending a command's process group", limitMs)).code === KILLED;
      } catch (error) {
        if ((await core.findEndReason()) === null) throw await core.translate(error);
        return false;
      }
    },
    leavesRunning: async () => output.leavesRunning(),
    async signal(signal) {
      if (!mayRun()) return;
      sent.add(signal);
      // Whoever kills does not wait for the last output of a sandbox that has ended.
      if (signal === "SIGKILL" && core.endReason !== null) return endWithSandbox(core.endReason);
      await signalByID(core, id, signal).catch(async (error: unknown) => {
        if (!mayRun() || (await core.findEndReason()) !== null) return;
        throw await core.translate(error);
      });
      if (signal !== "SIGKILL") return;
      // Nothing survives SIGKILL, so the exit is settled even if nobody reads the output up to the mark.
      void askServer()
        .then(() => sleep(core.clock, core.limits.graceMs))
        .then(() => output.stop());
    },
  };
}

/** The SDK's `wait` retries forever while the server is unreachable; its internal form takes a signal to stop it. */
const waitFor = (child: Child, signal: AbortSignal): Promise<number> =>
  typeof child._wait === "function" ? child._wait(signal) : child.wait();

async function signalByID(core: SandboxCore, id: string, signal: SandboxSignal): Promise<void> {
  await core.execOnce(
    ["/bin/sh", "-c", SIGNAL_SCRIPT, "signal", pidPathOf(id), signal.slice(3)],
    "Signalling a command",
  );
}

const NO_INPUT = {
  write: (_bytes: Uint8Array): Promise<void> => Promise.reject(new Error(CLOSED_INPUT)),
  close: () => Promise.resolve(),
};

function openInput(child: Child, exit: Promise<ExitStatus>) {
  let writer: WritableStreamDefaultWriter<Uint8Array> | null = null;
  const untilExit = (work: Promise<void>) =>
    Promise.race([work, exit.then(() => Promise.reject(new Error(CLOSED_INPUT)))]);
  const open = () => {
    writer ??= child.stdin.getWriter();
    writer.closed.catch(() => {}); // the writes report the same failures
    return writer;
  };
  return {
    async write(bytes: Uint8Array): Promise<void> {
      try {
        for (let at = 0; at < bytes.length; at += STDIN_CHUNK_BYTES)
          await untilExit(open().write(bytes.subarray(at, at + STDIN_CHUNK_BYTES)));
      } catch (cause) {
        const kind = kindOf(cause);
        const isRefused = kind !== "unauthorized" && isRetryable(kind) !== true;
        throw new Error(isRefused ? CLOSED_INPUT : unreached(cause), { cause });
      }
    },
    // Closing succeeds too if the command has ended or has closed its input itself.
    close: (): Promise<void> => untilExit(open().close()).catch(() => {}),
  };
}

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const usableNames = (env: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => ENV_NAME.test(name)));
