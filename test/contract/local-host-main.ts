// A process that creates a sandbox with a network and waits to be killed.
import { createLocalProvider } from "../../src/sandboxes/local/local-provider.ts";
import { systemClock } from "../../src/shared/clock.ts";

// Keeps the process alive, as the real host does (the clock's timers never do), but not beyond a test that forgot it.
setTimeout(() => process.exit(1), 60_000);
const rootDir = process.argv[2] as string;
const provider = createLocalProvider({
  rootDir,
  isolation: "auto",
  clock: systemClock,
  log: () => {},
  ids: () => crypto.randomUUID().slice(0, 13),
});
const sandbox = await provider.create({
  name: "host", tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
}); // biome-ignore format: a table
await sandbox.start({ argv: ["sh", "-c", `setsid sleep 7${process.pid} & sleep 7${process.pid}; echo`] });
// The process on the host that waits for a stopped command stops with it.
await sandbox.start({ argv: ["sh", "-c", `sleep 8${process.pid} & kill -STOP 0`] });
process.stdout.write(
  `${JSON.stringify({ id: sandbox.id, networked: sandbox.notes.every((note) => !note.startsWith("No network")) })}\n`,
);
