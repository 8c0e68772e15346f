import type { Processor } from "../call-filter/refused-calls.ts";
import {
  CLOSE, KEYCTL, MOUNT, OPENAT, PPOLL, PRCTL, PRLIMIT64, RT_SIGACTION, SECCOMP, SETNS, SETSID, WRITE,
} from "./call-numbers.ts"; // biome-ignore format: a list
import { AT_FDCWD, callProgram, O_CLOEXEC, RESULT, text } from "./call-program.ts";

/* The programs of our own that every sandbox contains, in its root, which is in memory and read-only. */

export const FIRST = "/run/.first";
export const ENTRY = "/run/.enter";

/** The first process writes it once it runs. */
export const UP = "up\n";
/** The first process's command line, by which orphans are found. */
export const FIRST_COMMAND: readonly string[] = [FIRST, "first process of a sandbox of opencode-parallel-agents"];

/** A limit of each process; `hard` cannot be raised any more. */
export interface ProcessLimit {
  /** A RLIMIT_* of Linux's asm-generic/resource.h. */
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
}

const CLONE_NEWUSER = 0x10000000;
const KEYCTL_JOIN_SESSION_KEYRING = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const SIGCHLD = 17;
const SIG_IGN = 1;
const SIGNAL_SET_BYTES = 8;
/** MS_REMOUNT, MS_BIND, MS_RDONLY, MS_NOSUID, MS_NOEXEC. @source linux/mount.h */
const READ_ONLY = 32 | 4096 | 1 | 2 | 8;

/**
 * A sandbox's first process: says that it is up, and waits for good. It cannot be killed from inside (pid 1 without handlers),
 * and the kernel reaps orphans, as it ignores the ends of its children. Not a `sleep`, because a job's `pkill sleep` must not
 * end its sandbox. It ends when nobody reads its "up": bwrap asks the kernel to die with us, and we may have died before it did.
 */
export const firstProgram = (processor: Processor): Uint8Array =>
  callProgram(
    processor,
    [
      { number: RT_SIGACTION, args: [SIGCHLD, [SIG_IGN, 0, 0, 0], 0, SIGNAL_SET_BYTES] },
      { number: WRITE, args: [1, Buffer.from(UP), UP.length] },
      { number: CLOSE, args: [1] },
      { number: PPOLL },
    ],
    "The sandbox's first process could not wait",
  );

/**
 * The first program of every command. The nsenter and setpriv of current systems cannot load a system-call filter, so this
 * program does: it joins the inner user namespace (the one without privileges), which it finds through the sandbox's first
 * process, makes the host's devices read-only, leaves the login's keyrings and its process group (the nsenter that waits on the host must not get the command's
 * signals), gives up gaining new privileges, limits itself, loads the filter and executes the rest of its command line.
 *
 * E1: the job cannot interfere before the filter is loaded: until it executes the next program, it has the namespace's
 * capabilities, and the kernel lets no process with fewer capabilities access it. E2: when any step fails, nothing is
 * started. Only leaving the keyrings may fail (a kernel without keys, a user's quota), since the filter refuses their calls.
 * @param devices paths of those whose mounts become read-only, again for each command: they can still be written to, but a
 * job whose user owns them, as happens when the host process is root, cannot change their modes. bwrap itself could only make
 * them unusable
 * @param filter instructions in the kernel's format, 8 bytes each
 */
export const entryProgram = (
  processor: Processor,
  filter: Uint8Array,
  limits: readonly ProcessLimit[],
  devices: readonly string[],
): Uint8Array =>
  callProgram(
    processor,
    [
      ...devices.map((path) => ({ number: MOUNT, args: [0, text(path), 0, READ_ONLY] })),
      { number: OPENAT, args: [AT_FDCWD, text("/proc/1/ns/user"), O_CLOEXEC] },
      { number: SETNS, args: [RESULT, CLONE_NEWUSER] },
      { number: KEYCTL, args: [KEYCTL_JOIN_SESSION_KEYRING], mayFail: true },
      { number: SETSID },
      ...limits.map(({ resource, soft, hard }) => ({ number: PRLIMIT64, args: [0, resource, [soft, hard]] })),
      { number: PRCTL, args: [PR_SET_NO_NEW_PRIVS, 1] },
      { number: SECCOMP, args: [SECCOMP_SET_MODE_FILTER, 0, [filter.length / 8, filter]] },
    ],
    "No command was started: it could not be confined (its devices, its limits, its system calls)",
  );
