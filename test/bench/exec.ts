import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalProvider } from "../../src/sandboxes/local/local-provider.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { report, timed } from "./stats.ts";

const COMMAND_MS = 500;

/** Times a command that the adapter starts, and the same command started by a shell that already runs in the sandbox. */
export async function benchExec(rounds: number): Promise<void> {
  const rootDir = await mkdtemp(join(tmpdir(), "bench-"));
  const provider = createLocalProvider({
    rootDir,
    isolation: "auto",
    clock: systemClock,
    log: () => {},
    ids: () => randomId("x").slice(2),
  });
  const sandbox = await provider.create({
    name: "bench",
    tags: {},
    snapshotID: null,
    workdir: "/workspace",
    env: {},
    memoryMiB: null,
    network: "blocked",
  });
  const command = `sleep ${COMMAND_MS / 1000}; echo done`;
  const inside = `for i in $(seq ${rounds}); do s=$(date +%s%N); sh -c '${command}' >/dev/null; e=$(date +%s%N); echo $(( (e - s) / 1000 )); done`;
  const byShell = (await output(sandbox, inside))
    .trim()
    .split("\n")
    .map((line) => Number(line) / 1000);
  const ours: number[] = [];
  for (let round = 0; round < rounds; round++) ours.push(await timed(() => output(sandbox, command)));
  report(
    `A command of ${COMMAND_MS} ms in one local sandbox`,
    { name: "started by the adapter", samples: ours },
    { name: "started by a shell inside", samples: byShell },
  );
  await sandbox.terminate();
  await provider.close();
  await rm(rootDir, { recursive: true, force: true });
}

async function output(sandbox: Sandbox, command: string): Promise<string> {
  const process = await sandbox.start({ argv: ["sh", "-c", command] });
  let text = "";
  for await (const { bytes } of process.output) text += new TextDecoder().decode(bytes);
  return text;
}
