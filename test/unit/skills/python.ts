import { spawnSync } from "node:child_process";
import { join } from "node:path";

export const SKILLS = join(import.meta.dirname, "../../../skills");
export const FIXTURES = join(import.meta.dirname, "fixtures");

/** What a sandbox has, and nothing of the machine the tests run on but its programs. */
const env = { PATH: process.env.PATH ?? "", PYTHONDONTWRITEBYTECODE: "1", LC_ALL: "C.UTF-8" };

const succeeds = (...args: string[]): boolean => spawnSync("python3", args, { env }).status === 0;
export const hasPython = succeeds("--version");
export const hasNumpy = hasPython && succeeds("-c", "import numpy");

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
  return run("python3", [join(SKILLS, skill, "scripts", file), ...args], cwd === undefined ? {} : { cwd });
}
