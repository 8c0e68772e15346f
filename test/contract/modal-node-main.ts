// The Modal provider in a Node process, against the server its environment names; prints what it saw.
import { createModalProvider } from "../../src/sandboxes/modal/modal-provider.ts";
import type { ExecRequest, Sandbox } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";

const { MODAL_TOKEN_ID: tokenId = "", MODAL_TOKEN_SECRET: tokenSecret = "" } = process.env;
const provider = createModalProvider({
  options: {
    app: "node", environment: null, createTimeoutSeconds: 30, snapshotTimeoutSeconds: 30, snapshotTtlDays: null, persistence: "snapshot_filesystem",
  },
  credentials: { kind: "token", tokenId, tokenSecret, source: "the environment" },
  clock: systemClock, log: () => {}, ids: () => crypto.randomUUID(),
}); // biome-ignore format: a table
const spec = {
  name: "node-1", tags: { from: "node" }, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
} as const; // biome-ignore format: a table

async function run(sandbox: Sandbox, command: string, more: Partial<ExecRequest> = {}) {
  const child = await sandbox.start({ argv: ["sh", "-c", command], ...more });
  await child.closeInput();
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of child.output) parts[chunk.stream].push(chunk.bytes);
  const text = (stream: "stdout" | "stderr") => Buffer.concat(parts[stream]).toString();
  return { logPath: child.logPath ?? "", exit: await child.exit, stdout: text("stdout"), stderr: text("stderr") };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: { code: string }) => error.code,
  );
const read = async (sandbox: Sandbox, path: string, offset: number, maxBytes: number) =>
  Buffer.from(await sandbox.readFile(path, { offset, maxBytes })).toString();

const sandbox = await provider.create(spec);
const { logPath: _, ...ran } = await run(sandbox, "echo out; echo err >&2; exit 7");
const many = (await run(sandbox, "head -c 20000000 /dev/zero")).stdout.length;
const sleeper = await sandbox.start({ argv: ["sleep", "1000"] });
await sleeper.signal("SIGTERM");
const signalled = await sleeper.exit;
const log = await read(sandbox, (await run(sandbox, "echo logged", { keepLog: true })).logPath, 0, 100);
await sandbox.writeFile("digits", Buffer.from("0123456789"));
const range = await read(sandbox, "digits", 3, 3);
const missing = await codeOf(read(sandbox, "none", 0, 1));
await run(sandbox, "echo kept > kept");
const snapshot = await provider.snapshots?.take(sandbox, null);
const fork = await provider.create({ ...spec, name: "node-2", snapshotID: snapshot?.id ?? "" });
const forked = await read(fork, "kept", 0, 100);
const listed = (await provider.list()).length;
await sandbox.terminate();
await fork.terminate();
const gone = await codeOf(provider.attach(sandbox.id, {}));
await provider.close();
process.stdout.write(JSON.stringify({ ran, many, signalled, log, range, missing, forked, listed, gone }));
