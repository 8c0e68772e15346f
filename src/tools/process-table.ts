import { createOutputWindow } from "../core/output-window.ts";
import type { ExplainEnd } from "../jobs/execution/limits-reached.ts";
import type { ExitStatus, SandboxProcess, SandboxSignal } from "../sandboxes/port.ts";

/** A command that runs in the background of a sandbox. Its output is read all the time, so it never blocks on a full pipe. */
export interface BackgroundProcess {
  readonly id: string;
  readonly command: string;
  readonly logPath: string | null;
  /** Output since the last call. */
  takeOutput(): { readonly text: string; readonly cut: boolean };
  /** null while it runs. */
  exitStatus(): ExitStatus | null;
  /** Whether it ended for lack of memory, in words; "" when nothing is known. */
  explainEnd(): string;
  /** Resolves with the next output or the end. */
  next(): Promise<void>;
  write(input: string): Promise<void>;
  signal(signal: SandboxSignal): Promise<void>;
}

/** Background processes by job, until their sandbox ends. */
export interface ProcessTable {
  add(jobID: string, command: string, process: SandboxProcess, explain?: ExplainEnd): BackgroundProcess;
  get(jobID: string, id: string): BackgroundProcess | null;
  list(jobID: string): readonly BackgroundProcess[];
  /** The job's sandbox has ended, and its processes with it: of these only how they ended is remembered. */
  leave(jobID: string, reason: string): void;
}

export function createProcessTable(): ProcessTable {
  const byJob = new Map<string, Map<string, BackgroundProcess>>();
  return {
    add(jobID, command, process, explain = () => "") {
      const followed = follow(command, process, explain);
      const processes = byJob.get(jobID) ?? new Map<string, BackgroundProcess>();
      byJob.set(jobID, processes.set(process.id, followed));
      return followed;
    },
    get: (jobID, id) => byJob.get(jobID)?.get(id) ?? null,
    list: (jobID) => [...(byJob.get(jobID)?.values() ?? [])],
    leave(jobID, reason) {
      const left = [...(byJob.get(jobID)?.values() ?? [])].slice(-MOST_REMEMBERED);
      byJob.set(jobID, new Map(left.map((process) => [process.id, toEnded(process, reason)])));
    },
  };
}

/** Per job. */
const MOST_REMEMBERED = 50;

function toEnded(process: BackgroundProcess, reason: string): BackgroundProcess {
  const { id, command, logPath } = process;
  const known = process.exitStatus();
  const status: ExitStatus = known === null || known.kind === "unknown" ? { kind: "unknown", reason } : known;
  const refuse = () => Promise.reject(new Error(`The process has ended: ${reason}.`));
  return {
    id,
    command,
    logPath,
    takeOutput: () => ({ text: "", cut: false }),
    exitStatus: () => status,
    explainEnd: () => "",
    next: () => Promise.resolve(),
    write: refuse,
    signal: () => Promise.resolve(),
  };
}

function follow(command: string, process: SandboxProcess, explain: ExplainEnd): BackgroundProcess {
  let isKilledByUs = false;
  let explanation = "";
  const output = createOutputWindow();
  let status: ExitStatus | null = null;
  let wakeUp: () => void = () => {};
  let change = new Promise<void>((resolve) => {
    wakeUp = resolve;
  });
  const changed = () => {
    wakeUp();
    change = new Promise<void>((resolve) => {
      wakeUp = resolve;
    });
  };
  void (async () => {
    try {
      for await (const { bytes } of process.output) {
        output.push(bytes);
        changed();
      }
      const end = await process.exit;
      explanation = explain(end, isKilledByUs);
      status = end;
    } catch (error) {
      status = { kind: "unknown", reason: error instanceof Error ? error.message : String(error) }; // its sandbox is lost
    }
    changed();
  })();
  return {
    id: process.id,
    command,
    logPath: process.logPath,
    takeOutput: () => output.take(process.logPath),
    exitStatus: () => status,
    next: () => (status ? Promise.resolve() : change),
    write: (input) => process.write(new TextEncoder().encode(input)),
    explainEnd: () => explanation,
    signal(signal) {
      isKilledByUs ||= signal === "SIGKILL";
      return process.signal(signal);
    },
  };
}
