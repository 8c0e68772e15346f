/** Uses bash where the sandbox has it. */
const SHELL = 'if command -v bash >/dev/null 2>&1; then exec bash -c "$1"; else exec sh -c "$1"; fi';

/** Python would keep what it prints until it ends. Whoever has set the variable, even to nothing, has decided. */
const AT_ONCE = 'export PYTHONUNBUFFERED="${PYTHONUNBUFFERED-1}"';

/** Where what jobs and set-ups install for their user puts its programs. Scripts of ours find the sandbox's own alone. */
export const USERS_PROGRAMS = 'export PATH="${HOME:+$HOME/.local/bin:$HOME/.cargo/bin:$HOME/go/bin:}$PATH"';

export interface ShellOptions {
  /** Whether it can be given standard input; else it finds that at its end. */
  readonly input: boolean;
  /** Whether Python's lines are to be written whole, so that nobody can write between a number and the end of its line. */
  readonly wholeLines?: boolean;
}

/** The argument vector of a shell command. The shell merges stderr into stdout, so that their lines keep their order. */
export const shellCommand = (command: string, { input, wholeLines = false }: ShellOptions): readonly string[] => [
  ...["/bin/sh", "-c"],
  [input ? "exec 2>&1" : "exec 2>&1 </dev/null", ...(wholeLines ? [] : [AT_ONCE]), USERS_PROGRAMS, SHELL].join("; "),
  ...["sh", command],
];
