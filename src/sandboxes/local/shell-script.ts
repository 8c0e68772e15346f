import { quote } from "../shell-quote.ts";
import type { CommandPlan } from "./isolation.ts";

/*
 * The last stage of starting a command: a shell, already inside, that reads this script from descriptor 3. The script
 * carries the command and its environment, because anyone on the host may read a command line.
 */

/** First word of the line appended to the script's own file: the command is about to run (its pid follows), or its working directory is missing. */
export const STARTED = "S";
export const NO_WORKDIR = "W";

/** The shell's program, identical for every command: read the script, then run it. */
export const READ_SCRIPT = 'c=$(cat <&3); eval "$c"';
/** The same on Linux, where no `cat` is needed. Descriptor 3 is opened again so that the mark goes to the end of the file. */
export const READ_SCRIPT_ON_LINUX = "exec 3>>/proc/self/fd/3; . /proc/self/fd/3";

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
// Shells refuse to assign these, and some shells exit when a script tries.
const SHELLS_OWN = new Set(["UID", "EUID", "PPID", "GROUPS", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO"]);

export function commandScript({ argv, workdir, env, tty }: CommandPlan): string {
  const exports = Object.entries(env)
    .filter(([name]) => ENV_NAME.test(name) && !SHELLS_OWN.has(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`);
  return [
    `cd ${quote(workdir.startsWith("/") ? workdir : `./${workdir}`)} 2>/dev/null || { echo ${NO_WORKDIR} >&3; exit 126; }`,
    `unset c OLDPWD`,
    // Before the job's command runs: it must not inherit the script, which holds all variables.
    `echo "${STARTED} $$" >&3; exec 3>&-`,
    ...exports,
    run(argv, tty),
    "", // ends the last line, which the mark above may follow by now
  ].join("\n");
}

function run(argv: readonly string[], tty: boolean): string {
  const words = argv.map(quote).join(" ");
  // `script` provides the terminal, passes the exit code on (-e) and writes its typescript to /dev/null.
  if (tty) return `exec script -qefc ${quote(`exec ${words}`)} /dev/null`;
  const [file, option, code, name, ...given] = argv;
  if (file !== "/bin/sh" || option !== "-c" || code === undefined || name !== "sh") return `exec ${words}`;
  // The shell that reads this is a /bin/sh too: starting another one takes a tenth of the time of starting a command.
  return `set -- ${given.map(quote).join(" ")}; eval ${quote(code)}\nexit`;
}
