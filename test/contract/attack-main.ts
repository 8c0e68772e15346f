// A process that makes sandboxes, runs commands in them and prints what each said: for attacks by another user than the tests'.
import { rmSync } from "node:fs";
import type { Attack } from "./attack-users.ts";
import { localProvider, localSpec, newRoot } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

// Nothing of it outlives a test that forgot it; the clock's timers keep no process alive.
setTimeout(() => process.exit(1), 120_000);
const { sandboxes: count, network, steps } = JSON.parse(process.argv[2] as string) as Attack;
const rootDir = newRoot();
const provider = localProvider(rootDir);
try {
  const sandboxes = await Promise.all(Array.from({ length: count }, () => provider.create(localSpec({ network }))));
  const said: { stdout: string; stderr: string; notes: readonly string[] }[] = [];
  for (const [at, command] of steps) {
    const sandbox = sandboxes[at];
    if (!sandbox) throw new Error(`there is no sandbox ${at}`);
    const { stdout, stderr } = await sh(sandbox, command);
    said.push({ stdout, stderr, notes: sandbox.notes });
  }
  await Promise.all(sandboxes.map((sandbox) => sandbox.terminate()));
  process.stdout.write(`${JSON.stringify(said)}\n`);
} finally {
  await provider.close();
  rmSync(rootDir, { recursive: true, force: true });
}
process.exit(0);
