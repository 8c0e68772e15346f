import type { Processor } from "../call-filter/refused-calls.ts";
import { CLOSE_RANGE, DUP3, OPENAT, PRCTL, WRITE } from "./call-numbers.ts";
import { AT_FDCWD, callProgram, O_CLOEXEC, RESULT, type SystemCall, text } from "./call-program.ts";

/*
 * Programs of our own that run on the host, as the first stage of what is started there for a sandbox: they do what the shell
 * in launcher.ts does, in a tenth of its time.
 */

const O_WRONLY = 1;
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const LAST_DESCRIPTOR = 0xffffffff;

const FAILURE =
  "Nothing was started: the program cannot be run, or its cgroup not be joined, or its descriptors not be set";

/** Joins the cgroups whose `cgroup.procs` files are open from this descriptor on: 0 stands for whoever writes it. */
const joinCgroups = (from: number, count: number): SystemCall[] =>
  Array.from({ length: count }, (_, at) => ({ number: WRITE, args: [from + at, Buffer.from("0"), 1] }));

/** No descriptor that the host process leaked gets further. Fails before Linux 5.9. */
const closeFrom = (descriptor: number): SystemCall => ({
  number: CLOSE_RANGE,
  args: [descriptor, LAST_DESCRIPTOR, 0],
});

/**
 * Becomes a program with the descriptors 0 to 3 that is killed when its parent ends.
 * @param cgroups how many it joins, from descriptor 4 on
 * @param oomScore above 0 to be killed before other processes when memory runs out; where it cannot be set, nothing is lost
 */
export const commandLauncher = (processor: Processor, cgroups: number, oomScore: number): Uint8Array => {
  const score = Buffer.from(String(oomScore));
  return callProgram(
    processor,
    [
      { number: PRCTL, args: [PR_SET_PDEATHSIG, SIGKILL] },
      ...joinCgroups(4, cgroups),
      { number: OPENAT, args: [AT_FDCWD, text("/proc/self/oom_score_adj"), O_WRONLY | O_CLOEXEC], mayFail: true },
      { number: WRITE, args: [RESULT, score, score.length], mayFail: true },
      closeFrom(4),
    ],
    FAILURE,
  );
};

/**
 * Becomes a program with more descriptors: `output` becomes a copy of its standard output, and `input` its standard input,
 * which is empty then. They follow its other ones.
 * @param cgroups how many it joins, from descriptor `output` on
 */
export const bwrapLauncher = (
  processor: Processor,
  cgroups: number,
  { output, input }: { readonly output: number; readonly input: number },
): Uint8Array =>
  callProgram(
    processor,
    [
      ...joinCgroups(output, cgroups),
      { number: DUP3, args: [1, output, 0] },
      { number: DUP3, args: [0, input, 0] },
      { number: OPENAT, args: [AT_FDCWD, text("/dev/null"), 0] },
      { number: DUP3, args: [RESULT, 0, 0] },
      closeFrom(Math.max(output, input) + 1),
    ],
    FAILURE,
  );

/**
 * Limits what a user may have in the namespace that it runs in, and becomes another program there.
 * @param userLimits names of files of /proc/sys/user, each followed by its content
 */
export const limiterProgram = (processor: Processor, userLimits: readonly string[]): Uint8Array =>
  callProgram(
    processor,
    userLimits.map((word, at): SystemCall => {
      if (at % 2 === 0)
        return { number: OPENAT, args: [AT_FDCWD, text(`/proc/sys/user/${word}`), O_WRONLY | O_CLOEXEC] };
      return { number: WRITE, args: [RESULT, Buffer.from(word), word.length] };
    }),
    "The user's limits could not be set",
  );
