import { startModalServer } from "./server.ts";

/*
 * The server in a process of its own: `bun test/support/modal-server/main.ts [options as JSON]`. Prints the variables for
 * a client as one line of JSON, and stops when its standard input ends or it is told to.
 */

const server = await startModalServer(JSON.parse(process.argv[2] ?? "{}"));
let stopping = false;
const stop = async () => {
  if (stopping) return;
  stopping = true;
  await server.stop();
  process.exit(0);
};
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void stop());
process.stdin.on("end", () => void stop());
process.stdin.on("error", () => void stop());
process.stdin.resume();
console.log(JSON.stringify(server.env));
