import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { findMatrixProblem } from "../../../src/core/matrix.ts";
import { shellCommand } from "../../../src/sandboxes/shell-command.ts";

const VALUE = "0.5";

/** What a run's command has of a variable of this name: in bash itself, in a function, behind a pipe, and in its programs. */
function valuesOf(name: string): readonly string[] {
  const use = `printf "%s\\n" "$${name}"`;
  const command = `${use}; f() { ${use}; }; f; true | true; ${use}; pushd / > /dev/null; ${use}; /usr/bin/env | sed -n "s/^${name}=//p"`;
  const [program = "", ...args] = shellCommand(command, { input: false });
  const { stdout } = spawnSync(program, args, { env: { PATH: "/usr/bin:/bin", [name]: VALUE }, encoding: "utf8" });
  return stdout.trimEnd().split("\n");
}
const keeps = (name: string) => valuesOf(name).join() === Array(5).fill(VALUE).join();
const isRefused = (name: string) => findMatrixProblem({ [name]: [0.5, 1] })?.includes("sets itself") ?? false;

test.each([
  ...["RANDOM", "SRANDOM", "SECONDS", "LINENO", "EPOCHSECONDS", "EPOCHREALTIME", "HISTCMD", "OPTIND", "OPTERR"],
  ...["BASH", "BASHPID", "BASH_VERSION", "BASH_VERSINFO", "BASH_COMMAND", "BASH_SUBSHELL", "BASH_EXECUTION_STRING"],
  ...["COMP_WORDBREAKS", "PS1", "PS2", "PS4"],
])("bash gives %s a value of its own, and it is refused", (name) => {
  expect({ keeps: keeps(name), isRefused: isRefused(name) }).toEqual({ keeps: false, isRefused: true });
});

test.each(["GROUPS", "DIRSTACK", "FUNCNAME", "PIPESTATUS", "HOSTNAME", "COLUMNS", "LINES", "TERM", "REPLY", "SEED"])(
  "bash leaves %s as it was given, and it is accepted",
  (name) => {
    expect({ keeps: keeps(name), isRefused: isRefused(name) }).toEqual({ keeps: true, isRefused: false });
  },
);

test("what getopts sets is refused as a whole, and so is what bash may come to set", () => {
  for (const name of ["OPTARG", "BASH_NEW", "BASH_ARGV", "BASH_COMPAT"])
    expect({ name, isRefused: isRefused(name) }).toEqual({ name, isRefused: true });
});

test("programs that were installed for the user are found, before those of the system", () => {
  const pathIn = (env: Record<string, string>) => {
    const [program = "", ...args] = shellCommand('printf %s "$PATH"', { input: false });
    return spawnSync(program, args, { env: { PATH: "/usr/bin:/bin", ...env }, encoding: "utf8" }).stdout;
  };
  expect(pathIn({ HOME: "/h" })).toBe("/h/.local/bin:/h/.cargo/bin:/h/go/bin:/usr/bin:/bin");
  expect(pathIn({})).toBe("/usr/bin:/bin");
});

test("Python prints at once, unless its variable is set, even to nothing, or the command measures", () => {
  const valueIn = (env: Record<string, string>, wholeLines: boolean) => {
    const [program = "", ...args] = shellCommand('echo "${PYTHONUNBUFFERED-unset}"', { input: false, wholeLines });
    return spawnSync(program, args, { env: { PATH: "/usr/bin:/bin", ...env }, encoding: "utf8" }).stdout.trim();
  };
  expect(valueIn({}, false)).toBe("1");
  expect(valueIn({ PYTHONUNBUFFERED: "" }, false)).toBe("");
  expect(valueIn({ PYTHONUNBUFFERED: "x" }, false)).toBe("x");
  expect(valueIn({}, true)).toBe("unset");
});
