import { createInterface } from "node:readline";
import { startModalServer } from "./server.ts";

/*
 * Runs the server in its own process: `node test/support/modal-server/main.ts [options as JSON]`. Prints the client's
 * variables as one line of JSON, then answers each line `{ id, ask, args }` on its standard input by a line `{ id, answer }`
 * or `{ id, refused }`. Stops when its standard input ends, or when asked to.
 */

export interface Question {
  readonly id: number;
  /** Name of the server's method: "sandboxes", "faults.add". */
  readonly ask: string;
  readonly args: readonly unknown[];
}

const server = await startModalServer(JSON.parse(process.argv[2] ?? "{}"));
let stopping = false;
const stop = async () => {
  if (stopping) return;
  stopping = true;
  await server.stop();
  process.exit(0);
};
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void stop());
process.stdin.on("error", () => void stop());
createInterface({ input: process.stdin })
  .on("line", (line) => void answer(JSON.parse(line) as Question))
  .on("close", () => void stop());
console.log(JSON.stringify(server.env));

async function answer({ id, ask, args }: Question): Promise<void> {
  try {
    let of: unknown = null;
    let member: unknown = server;
    for (const name of ask.split(".")) [of, member] = [member, (member as Record<string, unknown>)[name]];
    const value = typeof member === "function" ? await member.apply(of, [...args]) : member;
    console.log(JSON.stringify({ id, answer: value ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ id, refused: String(error) }));
  }
}
