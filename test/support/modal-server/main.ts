import { createInterface } from "node:readline";
import { startModalServer } from "./server.ts";

/*
 * The server in a process of its own: `node test/support/modal-server/main.ts [options as JSON]`. Prints the variables for
 * a client as one line of JSON. From then on a line `{ id, ask, args }` on its standard input is answered by a line
 * `{ id, answer }` or `{ id, refused }`. It stops when its standard input ends or it is told to.
 */

export interface Question {
  readonly id: number;
  /** Path of a member of the server: "sandboxes", "faults.add". */
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
