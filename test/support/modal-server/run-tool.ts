import { spawn } from "node:child_process";

const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** Runs a host program to its end. @throws Error with its stderr, unless its exit code is accepted */
export async function runTool(file: string, args: readonly string[], accepted: readonly number[] = [0]): Promise<void> {
  const child = spawn(file, [...args], { env: ENV, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  // Not "close", which Bun 1.3.14 sometimes does not emit.
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code === null || !accepted.includes(code)) throw new Error(`${file} failed (${code}): ${said.trim()}`);
}
