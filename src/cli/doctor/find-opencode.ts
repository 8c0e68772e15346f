import { existsSync } from "node:fs";
import { join } from "node:path";
import { xdgHome } from "../../config/host-paths.ts";
import type { Clock } from "../../shared/clock.ts";
import type { FoundOpencode } from "./checks/host.ts";
import { programsOnPath, runProgram } from "./run-program.ts";

const LIMIT_MS = 15_000;

/** Asks the OpenCode that a terminal would start for its version. */
export async function findOpencode(deps: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly scratch: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<FoundOpencode> {
  const { env, scratch, clock, signal } = deps;
  const [path, ...others] = programsOnPath("opencode", env);
  if (path === undefined) {
    const data = join(xdgHome(env.XDG_DATA_HOME, env, ".local", "share"), "opencode");
    return { kind: "absent", hasRun: existsSync(join(data, "log")) };
  }
  // OpenCode makes its folders even when it only says its version.
  const folders = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"];
  const elsewhere = Object.fromEntries(folders.map((name) => [name, join(scratch, name.toLowerCase())]));
  let said = "";
  // A program that only starts OpenCode may need those folders to find it.
  for (const variables of [{ ...env, ...elsewhere }, env]) {
    const ran = await runProgram([path, "--version"], { env: variables, limitMs: LIMIT_MS, clock, signal }).catch(
      (error: Error) => error.message,
    );
    if (typeof ran === "string") return { kind: "silent", path, said: ran };
    const version = versionIn(ran.stdout);
    if (version !== null && ran.code === 0) return { kind: "found", path, version, others };
    said = ran.isLate ? `it had not answered after ${LIMIT_MS / 1000} s` : `${ran.stdout}\n${ran.stderr}`.trim();
    if (ran.isLate) break;
  }
  return { kind: "silent", path, said };
}

/** A version with three numbers, or the word that a development build says; null = neither. */
export function versionIn(said: string): string | null {
  const lines = said.split("\n").map((line) => line.trim());
  const found = lines.map((line) => /(?:^|[\sv])(\d+\.\d+\.\d+\S*)/.exec(line)?.[1]).find((one) => one !== undefined);
  return found ?? lines.find((line) => /^(local|dev)$/.test(line)) ?? null;
}
