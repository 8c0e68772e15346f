import { spawnSync } from "node:child_process";
import { join } from "node:path";

export const SKILLS = join(import.meta.dirname, "../../../skills");
export const FIXTURES = join(import.meta.dirname, "fixtures");

/** What a sandbox has, and nothing of the machine the tests run on but its programs. */
const env = { PATH: process.env.PATH ?? "", PYTHONDONTWRITEBYTECODE: "1", LC_ALL: "C.UTF-8" };

/** The interpreter itself: on the search path there may be a script in front of it that takes longer than what is tested. */
const found = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { env, encoding: "utf8" });
export const PYTHON = found.status === 0 ? found.stdout.trim() : "python3";
export const hasPython = found.status === 0;
export const hasNumpy = hasPython && spawnSync(PYTHON, ["-c", "import numpy"], { env }).status === 0;

export function run(
  program: string,
  args: readonly string[],
  more: { cwd?: string; env?: Record<string, string> } = {},
) {
  const options = { encoding: "utf8", cwd: more.cwd, env: { ...env, ...more.env } } as const;
  const { status, stdout, stderr } = spawnSync(program, args, options);
  return { status, stdout, stderr };
}

/** Runs a skill's script, such as `parameter-golf/parse_log.py`. */
export function python(script: string, args: readonly string[], cwd?: string) {
  const [skill = "", file = ""] = script.split("/");
  return run(PYTHON, [join(SKILLS, skill, "scripts", file), ...args], cwd === undefined ? {} : { cwd });
}
