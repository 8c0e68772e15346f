// A process that creates sandboxes, runs commands in them and prints their output, for attacks as another user.
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { systemClock } from "../../src/shared/clock.ts";
import { type Attack, HOST, type Said } from "./attack-users.ts";
import { localProvider, localSpec, newRoot } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

// Ends the process if its test forgot it.
setTimeout(() => process.exit(1), 120_000);
const attack = JSON.parse(process.argv[2] as string) as Attack;
const clock = attack.withoutTicks
  ? { ...systemClock, after: (ms: number, run: () => void) => (ms === 1000 ? () => {} : systemClock.after(ms, run)) }
  : systemClock;
const { tcp, udp, received } = await listen(attack.groups ?? []);
const rootDir = newRoot();
const { lending } = attack;
const provider = localProvider(rootDir, { clock, ...(lending ? { lending } : {}) });
try {
  const all = Array.from({ length: attack.sandboxes }, () => provider.create(localSpec({ network: attack.network })));
  const sandboxes = await Promise.all(all);
  const said: Said[] = [];
  for (const [at, template] of attack.steps) {
    const command = template.replaceAll("$TCP", String(tcp)).replaceAll("$UDP", String(udp));
    const sandbox = sandboxes[at];
    if (at === HOST) {
      const { stdout, stderr } = spawnSync("/bin/sh", ["-c", command], { encoding: "utf8" });
      said.push({ stdout, stderr, notes: [] });
    } else if (sandbox) {
      const { stdout, stderr } = await sh(sandbox, command);
      said.push({ stdout, stderr, notes: sandbox.notes });
    } else throw new Error(`there is no sandbox ${at}`);
  }
  await Promise.all(sandboxes.map((sandbox) => sandbox.terminate()));
  process.stdout.write(`${JSON.stringify({ said, received })}\n`);
} finally {
  await provider.close();
  rmSync(rootDir, { recursive: true, force: true });
}
process.exit(0);

/** Starts a TCP and a UDP server on all addresses of the host, which record what they receive. */
async function listen(groups: readonly string[]) {
  const received: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => received.push(String(bytes)));
    socket.end("canary");
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const socket = createSocket("udp4");
  socket.on("message", (bytes) => received.push(String(bytes)));
  await new Promise<void>((resolve) => socket.bind(0, "0.0.0.0", resolve));
  for (const group of groups) socket.addMembership(group);
  return { tcp: (server.address() as { port: number }).port, udp: socket.address().port, received };
}
