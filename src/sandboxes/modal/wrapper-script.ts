import { quote } from "../shell-quote.ts";
import { endMarkFormat, LEFT } from "./end-mark.ts";

/** Where the plugin keeps its own files in a sandbox. */
export const RUN_DIR = "/tmp/.parallel-agents";

/** First word of the first line on stdout: the command is about to run (its pid follows), or its working directory is missing. */
export const STARTED = "S";
export const NO_WORKDIR = "W";

export interface WrappedCommand {
  /** Letters, digits, `_` and `-`; part of the names of the command's files in the sandbox. */
  readonly id: string;
  readonly argv: readonly string[];
  /** Absolute. */
  readonly workdir: string;
  /** `script`: the image's `script` provides a terminal; `modal`: the exec already has one; null: no terminal. */
  readonly terminal: "script" | "modal" | null;
  readonly keepLog: boolean;
  /** Its input is at its end from the start. */
  readonly noInput?: boolean;
  /** Only stdout is followed, so what it writes to stderr goes there too. */
  readonly oneStream?: boolean;
}

export const logPathOf = (id: string): string => `${RUN_DIR}/${id}.log`;
export const pidPathOf = (id: string): string => `${RUN_DIR}/${id}.pid`;

/** Sends a signal to a process group. BusyBox takes "--" for a process; other shells may take "-123" for an option. */
const TO_GROUP = `to_group() {
if kill -s 0 -- "$$"; then kill -s "$1" -- "-$2"; else kill "-$1" "-$2"; fi
} 2>/dev/null`;

/*
 * Runs in every image that has a POSIX shell. Descriptors 5 and 6 are the exec's stdout and stderr; the shell's messages about
 * killed commands are discarded. The command is a foreground child, because a background one would ignore SIGINT, and
 * leads a session of its own, so that a signal to its group spares this script.
 */
const begin = (noInput: boolean): string => `exec 5>&1 6>&2 2>/dev/null${noInput ? " </dev/null" : ""}
[ -d "$r" ] || mkdir -p -m 700 "$r"
started='{ echo "$$" >"$0"; } 2>/dev/null; echo "${STARTED} $$" >&5; exec 5>&- 6>&-; exec "$@"'
${TO_GROUP}
mark() { printf "$m" "$c$l"; }
look() {
l=; read -r g <"$p" && to_group 0 "$g" || return
# A group has zombies too, for as long as nobody reaps them.
for f in /proc/[0-9]*/stat; do
read -r s <"$f" && set -- \${s##*) } && [ "$3" = "$g" ] && [ "$1" != Z ] && l='${LEFT}' && return
done
return 1
}
again() { sleep 0.2 5>&- 6>&- || sleep 1 5>&- 6>&-; look; }`;

/**
 * Runs in a subshell that becomes the command: some shells redirect themselves while a simple command runs, and would write
 * into its output that it was killed. Where /proc tells the subshell its pid, no further shell is needed in between.
 */
const RUN = {
  own: (to: string) =>
    `( command -v setsid >/dev/null || exec sh -c "$started" "$p" "$@" ${to}
read -r me rest </proc/self/stat || exec setsid sh -c "$started" "$p" "$@" ${to}
echo "$me" >"$p"; echo "${STARTED} $me" >&5; exec setsid "$@" ${to} 5>&- 6>&- ); c=$?`,
  modal: (to: string) => `( exec sh -c "$started" "$p" "$@" ${to} ); c=$?`,
  // `script` passes the exit code on (-e) and keeps no typescript of its own.
  script: (to: string) => `( export TERM="\${TERM:-xterm-256color}"; exec script -qefc "$t" /dev/null ${to} ); c=$?`,
} as const;

const plain = (run: (to: string) => string, oneStream: boolean): string => run(oneStream ? ">&5 2>&5" : ">&5 2>&6");

/*
 * `tee` copies what the command writes into the log. When no other process holds the pipes, the tees end with the command.
 * Otherwise the mark is sent through each pipe that is still held, behind everything written before. A command that merges
 * its streams leaves one held and the other not. A tee that is about to end is taken for one whose pipe is held, and does
 * not pass the mark on: so it is sent again, and a reader stops at the first.
 */
const markStream = (tee: string, pipe: string, stream: number): string =>
  `if kill -s 0 "$${tee}"; then mark 1<>"${pipe}"; else mark >&${stream}; fi`;

const OUT = { tee: "o", pipe: "$r/$i.1", stream: 5 } as const;
const ERR = { tee: "e", pipe: "$r/$i.2", stream: 6 } as const;

function logged(run: (to: string) => string, oneStream: boolean): string {
  const streams = oneStream ? [OUT] : [OUT, ERR];
  const pipes = streams.map(({ pipe }) => `"${pipe}"`).join(" ");
  const tees = streams.map(({ tee }) => `"$${tee}"`).join(" ");
  return `if mkfifo ${pipes}; then
${streams.map(({ tee, pipe, stream }) => `tee -a "$r/$i.log" <"${pipe}" >&${stream} 5>&- 6>&- & ${tee}=$!`).join("\n")}
${run(oneStream ? `>"${OUT.pipe}" 2>&1` : `>"${OUT.pipe}" 2>"${ERR.pipe}"`)}
( exec >/dev/null; again
${streams.map(({ tee, pipe, stream }) => markStream(tee, pipe, stream)).join("; ")}
sleep 1 5>&- 6>&-; ${streams.map(({ tee, stream }) => `kill -s 0 "$${tee}" || mark >&${stream}`).join("; ")} ) & w=$!
wait ${tees}
kill "$w"
rm -f ${pipes}
else ${plain(run, oneStream)}
fi`;
}

// After the mark, so that nobody waits for the clean-up.
const end = (oneStream: boolean): string => `look && again; mark >&5${oneStream ? "" : "; mark >&6"}
rm -f "$p"
exit "$c"`;

/** A shell script that runs one command in a sandbox and reports the command's start and end in its own output. */
export function wrapperScript(command: WrappedCommand): string {
  const { id, argv, workdir, terminal, keepLog, noInput = false, oneStream = false } = command;
  const words = argv.map(quote).join(" ");
  const inTerminal = `{ echo "$$" >${quote(pidPathOf(id))}; } 2>/dev/null; echo "${STARTED} $$" >&5; exec 5>&- 6>&-; exec ${words}`;
  return [
    `cd ${quote(workdir)} 2>/dev/null || { echo ${NO_WORKDIR}; exit 126; }`,
    `unset OLDPWD; r=${quote(RUN_DIR)} i=${quote(id)} p=${quote(pidPathOf(id))} m=${quote(endMarkFormat(id))}`,
    ...(terminal === "script" ? [`t=${quote(inTerminal)}`] : [`set -- ${words}`]),
    begin(noInput),
    (keepLog && terminal !== "modal" ? logged : plain)(RUN[terminal ?? "own"], oneStream),
    end(oneStream),
  ].join("\n");
}

/** Exit code of `END_GROUP_SCRIPT` where it has killed something. */
export const KILLED = 9;

/** Waits up to `$2` tenths of a second for the process group `$1` to end, then kills what is left of it. */
export const END_GROUP_SCRIPT = `${TO_GROUP}
n=0
while to_group 0 "$1"; do
[ "$n" -lt "$2" ] || { to_group KILL "$1" && exit ${KILLED}; exit 0; }
sleep 0.1 2>/dev/null && n=$((n+1)) || { sleep 1; n=$((n+10)); }
done
exit 0`;

/** Signals a command's process group, or the command alone where it leads no group. No-op if the command has ended. */
export const SIGNAL_SCRIPT = `${TO_GROUP}
pid=$(cat "$1" 2>/dev/null)
[ -n "$pid" ] || exit 0
to_group "$2" "$pid" || kill -s "$2" "$pid" 2>/dev/null
exit 0`;
