import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { startProgram } from "../../../shared/start-program.ts";
import { withAnonymousFiles, withOpenFiles } from "../anonymous-file.ts";
import { HOST_ENV } from "../host-tools.ts";
import { COPIES, type Launchers } from "./launchers.ts";
import { FIRST_COMMAND } from "./programs/sandbox-programs.ts";

/** Descriptors that bwrap is told of in its arguments. */
// It may use three pipes only (see openAnonymousFile): stdin is the gate, and stdout carries both the report and the "up" of the
// first process.
export const DESCRIPTOR = { args: 3, filter: 4, first: 5, entry: 6, report: COPIES.output, gate: COPIES.input };

/** What the sandbox's first process, and every command, is made of. */
export interface SandboxFiles {
  /** The system-call filter of the first process, as the kernel takes it. */
  readonly filter: Uint8Array;
  /** See sandbox-programs.ts. */
  readonly first: Uint8Array;
  readonly entry: Uint8Array;
}

export interface BwrapCommand {
  /** Absolute path of bwrap. */
  readonly bwrap: string;
  readonly launchers: Launchers;
  /** bwrap's arguments, without the program to run. */
  readonly args: readonly string[];
  readonly files: SandboxFiles;
  /** Files that bwrap writes its pid to, to join the sandbox's cgroup. */
  readonly cgroupProcs: readonly string[];
}

export interface BwrapProcess {
  /** Lets the process that bwrap made go on. */
  readonly open: () => void;
  readonly kill: () => void;
  /** Kills it and what it has made so far: to be called while the sandbox is being made, not later. */
  readonly giveUp: () => void;
  /** Resolves with how bwrap ended. Never rejects. */
  readonly gone: Promise<string>;
  /** Resolves with all output so far once it contains `mark`; rejects when bwrap ends before. */
  readonly output: (mark: string) => Promise<string>;
  /** The end of what bwrap wrote to its standard error. */
  readonly stderr: () => string;
}

export function startBwrap({ bwrap, launchers, args, files, cgroupProcs }: BwrapCommand): BwrapProcess {
  // Arguments go through a descriptor, so that no command line shows paths of the host. The environment is empty, because
  // the job can read it.
  const argv = [bwrap, "--args", String(DESCRIPTOR.args), "--", ...FIRST_COMMAND];
  const { file, args: words, opens } = launchers.bwrap(argv, cgroupProcs);
  const texts = [Buffer.from(args.map((each) => `${each}\0`).join("")), files.filter, files.first, files.entry];
  const child = withAnonymousFiles(texts, (fds) =>
    withOpenFiles(opens, (more) =>
      startProgram(file, words, {
        env: { ...HOST_ENV },
        cwd: "/",
        detached: true,
        stdio: ["pipe", "pipe", "pipe", ...fds, ...more],
      }),
    ),
  );
  child.stdin?.on("error", () => {}); // bwrap's own end tells of the failure
  const gone = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return {
    gone,
    kill: () => void child.kill("SIGKILL"),
    giveUp: () => giveUp(child),
    open: () => child.stdin?.end(),
    output: listen(child.stdout, gone),
    stderr: tail(child.stderr),
  };
}

/**
 * Kills bwrap's process group. The process that bwrap made does not die with bwrap before it has been let through the gate,
 * and it would go through when the gate's other end is closed.
 */
function giveUp(child: ChildProcess): void {
  if (child.pid === undefined) return; // it could not be started
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // All have ended.
  }
}

/** bwrap's report (`--info-fd`): the first process's host pid and the inode numbers of its namespaces, by bwrap's names. */
export async function readReport(output: BwrapProcess["output"]): Promise<Record<string, number>> {
  const report = JSON.parse(await output("}")) as Record<string, number>;
  if (!Number.isInteger(report["child-pid"])) throw new Error("bwrap did not report the pid of the process it made");
  return report;
}

/** @param stream null where bwrap could not be started */
function listen(stream: Readable | null | undefined, gone: Promise<string>): BwrapProcess["output"] {
  let all = "";
  let check = () => {};
  stream?.on("data", (bytes) => {
    // Bounded, because a job can get hold of this pipe.
    if (all.length < 65_536) all += String(bytes);
    check();
  });
  return (mark) =>
    new Promise((resolve, reject) => {
      check = () => all.includes(mark) && resolve(all);
      check();
      void gone.then((how) => reject(new Error(`bwrap ended at once (${how})`)));
    });
}

function tail(stream: Readable | null | undefined): () => string {
  let text = "";
  stream?.on("data", (bytes) => {
    text = (text + String(bytes)).slice(-1000);
  });
  return () => text.trim();
}
