import type { CommandPlan } from "./isolation.ts";

/*
 * The last stage of every start: a shell, already inside, that reads this script from descriptor 3. The script and not
 * the command line carries the command and its environment, because anyone on the host may read a command line.
 */

/** Line appended to the script's own file: the command is about to be executed (with its pid), or its working directory is missing. */
export const STARTED = "S";
export const NO_WORKDIR = "W";

/** The stage itself, the same for every command. */
export const READ_SCRIPT = 'c=$(cat <&3); eval "$c"';

export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
// A shell refuses to assign these, and some shells end when asked to.
const SHELLS_OWN = new Set(["UID", "EUID", "PPID", "GROUPS", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO"]);

export function commandScript({ argv, workdir, env, tty }: CommandPlan): string {
  const words = argv.map(quote).join(" ");
  const exports = Object.entries(env)
    .filter(([name]) => ENV_NAME.test(name) && !SHELLS_OWN.has(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`);
  return [
    `cd ${quote(workdir.startsWith("/") ? workdir : `./${workdir}`)} 2>/dev/null || { echo ${NO_WORKDIR} >&3; exit 126; }`,
    `unset c OLDPWD`,
    // Before anything of the job's runs: its script, with all variables, is not to be inherited.
    `echo "${STARTED} $$" >&3; exec 3>&-`,
    ...exports,
    // `script` gives the terminal; it passes the exit code on (-e) and keeps no typescript of its own.
    tty ? `exec script -qefc ${quote(`exec ${words}`)} /dev/null` : `exec ${words}`,
  ].join("\n");
}
