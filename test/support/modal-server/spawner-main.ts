import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { type Asked, addressOf, headOf, type Told } from "./spawner.ts";

/* The helper of `spawner.ts`: `node spawner-main.ts <name>`. It ends with the server, and the sandboxes with it. */

const address = addressOf(process.argv[2] ?? "");
const children = new Map<number, ChildProcess>();

process.on("disconnect", () => process.exit(0));
process.on("message", (asked: Asked) => {
  if (asked.kind === "kill") children.get(asked.id)?.kill("SIGKILL");
  else if (asked.kind === "run") run(asked);
  else
    start(asked).catch((error: Error) =>
      tell({ id: asked.id, kind: "exited", code: null, said: "", error: `${error}` }),
    );
});

const tell = (told: Told): void => void process.send?.(told);

function run({ id, file, args, env }: Extract<Asked, { kind: "run" }>): void {
  const child = spawn(file, [...args], { env, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  follow(id, child, () => said);
}

async function start({ id, file, args, env, cwd, opens }: Extract<Asked, { kind: "start" }>): Promise<void> {
  const sockets = await Promise.all([0, 1, 2].map((fd) => open(headOf(id, fd))));
  const fds = opens.map(({ path, flags }) => openSync(path, flags));
  try {
    const child = spawn(file, [...args], { env, cwd, stdio: [...sockets, ...fds] });
    children.set(id, child);
    tell({ id, kind: "started", pid: child.pid ?? 0 });
    follow(id, child, () => "");
  } finally {
    for (const socket of sockets) socket.destroy(); // the process has its own
    for (const fd of fds) closeSync(fd);
  }
}

function follow(id: number, child: ChildProcess, said: () => string): void {
  const end = (code: number | null, error: string | null) => {
    children.delete(id);
    tell({ id, kind: "exited", code, said: said(), error });
  };
  child.once("error", (error) => end(null, error.message));
  child.once("exit", (code) => end(code, null));
}

const RETRY_MS = 20;

/** A connection to the server, of which nothing is read here: that is for the process that gets it. */
function open(head: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    socket.pause();
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EAGAIN") return reject(error);
      setTimeout(() => open(head).then(resolve, reject), RETRY_MS); // more wait than the server's queue holds
    });
    socket.write(head, () => resolve(socket));
  });
}
