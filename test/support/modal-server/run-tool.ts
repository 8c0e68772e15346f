import { spawn } from "node:child_process";

const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** Runs a tool of the host to its end. @throws Error with what it said, unless its exit code is accepted */
export async function runTool(
  file: string,
  args: readonly string[],
  accepted: readonly number[] = [0],
): Promise<string> {
  const child = spawn(file, [...args], { env: ENV, cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (text: string) => (said[stream] += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code === null || !accepted.includes(code)) throw new Error(`${file} failed (${code}): ${said.stderr.trim()}`);
  return said.stdout;
}
