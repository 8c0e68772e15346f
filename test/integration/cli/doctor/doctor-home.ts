import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Diagnosis, Finding } from "../../../../src/cli/doctor/finding.ts";
import { startProcess } from "../../../support/child-process.ts";
import { PACKAGE } from "../../../support/test-setup.ts";

/** A home, a project, and an OpenCode that only says its version: what doctor looks at, and nothing of this machine. */
export interface DoctorHome {
  readonly root: string;
  readonly home: string;
  readonly project: string;
  readonly stateDir: string;
  readonly env: Record<string, string>;
  /** Writes a file below the root, with the folders above it. */
  write(path: string, text: string, mode?: number): string;
  remove(): void;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = join(PACKAGE, "src/cli/main.ts");
export const BUN = join(PACKAGE, "node_modules/bun/bin/bun.exe");
/** As users run it. */
export const NODE = join(PACKAGE, "node_modules/node/bin/node");

/** In order but for what the test breaks. @param version what OpenCode says of itself */
export function makeHome(version = "1.18.33"): DoctorHome {
  const root = mkdtempSync(join(tmpdir(), "doctor-test-"));
  const home = join(root, "home");
  const write: DoctorHome["write"] = (path, text, mode) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    if (mode !== undefined) chmodSync(file, mode);
    return file;
  };
  for (const folder of [home, join(root, "project"), join(root, "tmp")]) mkdirSync(folder);
  write("bin/opencode", `#!/bin/sh\necho '${version}'\n`, 0o755);
  const plugin = JSON.stringify({ plugin: [PACKAGE] });
  write("home/.config/opencode/opencode.json", plugin);
  write("home/.config/opencode/tui.json", plugin);
  return {
    root,
    home,
    project: join(root, "project"),
    stateDir: join(home, ".local/share/opencode/parallel-agents"),
    env: {
      PATH: `${join(root, "bin")}:/usr/local/bin:/usr/bin:/bin`,
      HOME: home,
      TMPDIR: join(root, "tmp"),
      BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0", // Bun keeps what it compiles in the home
    },
    write,
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

export async function withDoctorHome(use: (home: DoctorHome) => void | Promise<void>, version?: string): Promise<void> {
  const home = makeHome(version);
  try {
    await use(home);
  } finally {
    home.remove();
  }
}

/** @param before the runtime, and what starts that */
export function runDoctor(home: DoctorHome, args: readonly string[] = [], before: readonly string[] = [BUN]): Ran {
  const [file = "", ...rest] = [...before, MAIN, "doctor", ...args];
  const { status, stdout, stderr } = spawnSync(file, rest, { cwd: home.project, env: home.env, encoding: "utf8" });
  return { code: status, stdout, stderr };
}

export interface Diagnosed extends Diagnosis {
  readonly code: number | null;
  /** The findings that are not in order, as "level name: meaning → remedy". */
  readonly wrong: readonly string[];
  readonly text: string;
}

/** What doctor says for programs. It must leave no file behind, print nothing else, and exit as it says. */
export function diagnose(home: DoctorHome, before?: readonly string[]): Diagnosed {
  const { code, stdout, stderr } = runDoctor(home, ["--json"], before);
  if (stderr !== "") throw new Error(`standard error: ${stderr}`);
  const diagnosis = JSON.parse(stdout) as Diagnosis;
  const left = readdirSync(join(home.root, "tmp")).filter((name) => name.startsWith("opencode-parallel-agents"));
  if (left.length > 0) throw new Error(`left behind: ${left}`);
  if (code !== (diagnosis.ok ? 0 : 1)) throw new Error(`exit code ${code}, though ok is ${diagnosis.ok}`);
  const show = ({ level, name, meaning, remedy }: Finding) => `${level} ${name}: ${meaning} → ${remedy}`;
  return {
    ...diagnosis,
    code,
    text: stdout,
    wrong: diagnosis.findings.filter(({ level }) => level !== "ok").map(show),
  };
}

export const startDoctor = (home: DoctorHome, args: readonly string[] = []) =>
  startProcess(BUN, [MAIN, "doctor", ...args], { cwd: home.project, env: home.env, name: "doctor" });
