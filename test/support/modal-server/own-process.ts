import { fileURLToPath } from "node:url";
import { startProcess } from "../child-process.ts";
import { within } from "../wait.ts";
import type { ModalServerOptions } from "./options.ts";

export interface ModalServerProcess {
  /** For the process of a client. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends its sandboxes too. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

/** The server in a process of its own. It stops when this process ends, however it ends. */
export async function startModalServerProcess(options: ModalServerOptions = {}): Promise<ModalServerProcess> {
  const server = await startProcess(process.execPath, [MAIN, JSON.stringify(options)], {
    cwd: "/",
    env: process.env as Record<string, string>,
    stdin: "pipe",
    name: "the Modal server",
  });
  const firstLine = new Promise<string>((resolve, reject) => {
    server.onStdout(() => {
      const [line, more] = server.stdout().split("\n", 2);
      if (line !== undefined && more !== undefined) resolve(line);
    });
    void server.exited.then(({ code }) => reject(new Error(`It ended with ${code}: ${server.stderr()}`)));
  });
  try {
    const env = JSON.parse(await within(firstLine, 30_000, "the Modal server is up", server.stderr));
    return { env, stop: async () => void (await server.stop()) };
  } catch (error) {
    await server.kill();
    throw error;
  }
}
