import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Readable } from "node:stream";
import { withAnonymousFiles } from "../anonymous-file.ts";
import { HOST_ENV } from "../host-tools.ts";
import { launcherArgs } from "./launcher.ts";

/**
 * The shell script of a sandbox's first process. It cannot be killed from inside (pid 1 without handlers), and it reaps
 * orphans while it waits in a read that never ends. Not a `sleep`, because a job's `pkill sleep` must not end its
 * sandbox. It exits when nobody reads its "up": bwrap asks the kernel to die with us, and we may have died before it did.
 */
const firstProcess = (openPipe: string): string =>
  `${openPipe} || exit; echo up || exit; exec >&-; while :; do read -r _ <&3; done`;
const FIRST_IN_BASH = firstProcess("exec 3<> <(:)"); // a pipe that nobody writes to, without starting a program
const FIRST_IN_SH = firstProcess("f=/dev/shm/.first; mkfifo $f; exec 3<>$f && rm $f");
export const FIRST_PROCESSES: readonly string[] = [FIRST_IN_BASH, FIRST_IN_SH];
// bwrap may use three pipes only (see openAnonymousFile): stdin is the gate at 5, and stdout carries both the report at 4
// and the "up" of the first process.
const EXEC = 'exec "$@" 6<&4 7<&5 4>&1 5<&0 0</dev/null';

export interface CallFilter {
  /** The filter as the kernel takes it, for the first process. */
  readonly program: Uint8Array;
  /** The program that loads it for every command. */
  readonly entry: Uint8Array;
}

export interface BwrapCommand {
  /** Absolute path of bwrap. */
  readonly bwrap: string;
  /** bwrap's arguments, without the program to run. */
  readonly args: readonly string[];
  readonly filter: CallFilter;
  /** Files that bwrap writes its pid to, to join the sandbox's cgroup. */
  readonly cgroupProcs: readonly string[];
}

export interface BwrapProcess {
  readonly child: ChildProcess;
  /** Resolves with how bwrap ended. Never rejects. */
  readonly gone: Promise<string>;
  /** Resolves with all output so far once it contains `mark`; rejects when bwrap ends before. */
  readonly output: (mark: string) => Promise<string>;
  /** The end of what bwrap wrote to its standard error. */
  readonly stderr: () => string;
}

export function startBwrap({ bwrap, args, filter, cgroupProcs }: BwrapCommand): BwrapProcess {
  // Arguments go through a descriptor, so that no command line shows paths of the host. The environment is empty, because
  // the job can read it.
  const first = existsSync("/bin/bash") ? ["/bin/bash", "-c", FIRST_IN_BASH] : ["/bin/sh", "-c", FIRST_IN_SH];
  const launch = launcherArgs(5, cgroupProcs, [bwrap, "--args", "3", "--", ...first], { last: EXEC });
  const texts = [Buffer.from(args.map((each) => `${each}\0`).join("")), filter.entry, filter.program];
  const child = withAnonymousFiles(texts, (fds) =>
    spawn(launch.file, launch.args, {
      env: { ...HOST_ENV },
      cwd: "/",
      detached: true,
      stdio: ["pipe", "pipe", "pipe", ...fds],
    }),
  );
  child.stdin?.on("error", () => {}); // bwrap's own end tells of the failure
  const gone = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { child, gone, output: listen(child.stdout as Readable, gone), stderr: tail(child.stderr as Readable) };
}

/** bwrap's report (`--info-fd`): the first process's host pid and the inode numbers of its namespaces, by bwrap's names. */
export async function readReport(output: BwrapProcess["output"]): Promise<Record<string, number>> {
  const report = JSON.parse(await output("}")) as Record<string, number>;
  if (!Number.isInteger(report["child-pid"])) throw new Error("bwrap did not report the pid of the process it made");
  return report;
}

function listen(stream: Readable, gone: Promise<string>): BwrapProcess["output"] {
  let all = "";
  let check = () => {};
  stream.on("data", (bytes) => {
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

function tail(stream: Readable): () => string {
  let text = "";
  stream.on("data", (bytes) => {
    text = (text + String(bytes)).slice(-1000);
  });
  return () => text.trim();
}
