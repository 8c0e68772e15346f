import { useSpawner } from "./spawner.ts";

const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

/** Runs a host program to its end. @throws Error with its stderr, unless its exit code is accepted */
export async function runTool(file: string, args: readonly string[], accepted: readonly number[] = [0]): Promise<void> {
  const { code, said, error } = await useSpawner().run(file, args, ENV);
  if (code === null || !accepted.includes(code)) throw new Error(`${file} failed (${code}): ${error ?? said.trim()}`);
}
