import { existsSync } from "node:fs";

/*
 * The first stage of every program started on the host for a sandbox. It joins the sandbox's cgroups while it still may,
 * and closes every descriptor that the host process leaked, because inside such a descriptor would be a way out. It fails
 * closed: when a descriptor cannot be closed it exits before anything runs.
 */
/** Its exit code then. */
export const LAUNCHER_FAILED = 125;
const SCRIPT = `
keep=$1 oom=$2 last=$3; shift 3
[ "$oom" = 0 ] || { echo "$oom" > /proc/self/oom_score_adj; } 2>/dev/null
while [ "$1" != -- ]; do echo $$ > "$1" || exit ${LAUNCHER_FAILED}; shift; done; shift
for f in /proc/self/fd/*; do
  n=\${f##*/}
  [ "$n" -le "$keep" ] || eval "exec $n>&-"
done
for f in /proc/self/fd/*; do
  n=\${f##*/}
  [ "$n" -le "$keep" ] || [ ! -e "$f" ] || exit ${LAUNCHER_FAILED}
done
eval "$last"`;

/** A plain POSIX shell starts faster than bash, but can name only the descriptors 0 to 9. */
const CHOOSE_SHELL = `
bash=$1 script=$2; shift 2
for f in /proc/self/fd/*; do
  [ "\${f##*/}" -le 9 ] || [ ! -e "$f" ] || exec "$bash" --noprofile --norc -c "$script" launch "$@"
done
eval "$script"`;

/**
 * The command line of the launcher.
 * @param keepUpTo the highest descriptor that the program gets
 * @param oomScore above 0 to be killed before other processes when memory runs out
 * @param last what is done in the end, in the shell's own words
 */
export function launcherArgs(
  keepUpTo: number,
  cgroupProcs: readonly string[],
  argv: readonly string[],
  { oomScore = 0, last = 'exec "$@"' }: { readonly oomScore?: number; readonly last?: string } = {},
): { file: string; args: string[] } {
  const bash = ["/bin/bash", "/usr/bin/bash"].find((path) => existsSync(path)) ?? "/bin/bash";
  const given = [String(keepUpTo), String(oomScore), last, ...cgroupProcs, "--"];
  const stage = [CHOOSE_SHELL, "launch", bash, SCRIPT, ...given];
  return { file: "/bin/sh", args: ["-c", ...stage, ...argv] };
}
