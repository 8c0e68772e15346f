import { startProcess } from "./child-process.ts";
import { type OpencodeHome, opencodeBinary } from "./opencode-home.ts";
import { within } from "./wait.ts";

export interface RunEvent {
  type: string;
  sessionID?: string;
  part?: { type: string; tool?: string; text?: string; state?: { status: string; output?: string; error?: string } };
  error?: unknown;
}

export interface RunResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** The lines of `--format json`. */
  events: RunEvent[];
}

/** `opencode run` to its end, with nothing on standard input. Past `timeoutMs` all of it is killed and the call throws. */
export async function runOnce(
  home: OpencodeHome,
  prompt: string,
  {
    args = [],
    env = {},
    timeoutMs = 60_000,
  }: { args?: string[]; env?: Record<string, string>; timeoutMs?: number } = {},
): Promise<RunResult> {
  const run = await startProcess(opencodeBinary, ["run", "--format", "json", ...args, prompt], {
    cwd: home.project,
    env: { ...home.env, ...env },
    name: "opencode run",
  });
  try {
    const { code } = await within(run.exited, timeoutMs, "opencode run ends", () => run.stdout() + run.stderr());
    return { exitCode: code, stdout: run.stdout(), stderr: run.stderr(), events: parseLines(run.stdout()) };
  } finally {
    await run.kill();
  }
}

function parseLines(text: string): RunEvent[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as RunEvent);
}
