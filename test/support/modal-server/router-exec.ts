import { stat } from "node:fs/promises";
import { type Exec, runCommand } from "./exec.ts";
import { FILE_TOOL, runFileTool } from "./file-tool.ts";
import type { ExecRef, ExecStart, StdinStreamItem, StdinWrite, StdioRead } from "./messages.ts";
import { refuse } from "./refusal.ts";
import { placeOf } from "./root-tree.ts";
import type { ModalSandbox } from "./sandbox.ts";
import type { CallContext, Handlers } from "./service.ts";
import type { Spool } from "./spool.ts";
import type { World } from "./world.ts";

const ARG_MAX = 2 ** 16;

/** Router: starting commands, their output by offset, their input and their exit. */
export function execHandlers(world: World): Handlers {
  const execOf = ({ taskId, execId }: ExecRef): Exec =>
    world.task(taskId).execs.get(execId) ?? refuse("NOT_FOUND", `Exec ${execId} not found`);
  const exitOf = (exec: Exec) => exec.exit ?? {};

  return {
    async TaskExecStart(request: ExecStart) {
      const sandbox = world.task(request.taskId);
      sandbox.running();
      if (request.containerId !== "") refuse("INVALID_ARGUMENT", "The test server has no sidecars");
      if (request.commandArgs.length === 0) refuse("INVALID_ARGUMENT", "A command needs a program");
      if (request.commandArgs.join("").length > ARG_MAX) refuse("INVALID_ARGUMENT", `Arguments longer than ${ARG_MAX}`);
      // A start with a known id is a retry after a lost reply: it is the same command.
      if (sandbox.execs.has(request.execId)) return {};
      await start(world, sandbox, request);
      return {};
    },

    TaskExecStdioRead: (request: StdioRead, context: CallContext) => {
      const exec = execOf(request);
      if (request.fileDescriptor !== 0 && request.fileDescriptor !== 1)
        refuse("INVALID_ARGUMENT", `No file descriptor ${request.fileDescriptor}`);
      return follow(request.fileDescriptor === 0 ? exec.stdout : exec.stderr, request.offset, world, context);
    },

    async TaskExecWait(request: ExecRef) {
      const exec = execOf(request);
      await exec.exited;
      return exitOf(exec);
    },

    TaskExecPoll: (request: ExecRef) => exitOf(execOf(request)),

    async TaskExecStdinWrite(request: StdinWrite) {
      await execOf(request).writeStdin(request.offset, request.data, request.eof);
      return {};
    },

    async TaskExecStdinWriteStream(items: AsyncIterable<StdinStreamItem>) {
      let exec: Exec | null = null;
      let offset = 0;
      let epoch = 0;
      for await (const { start: head, data, end } of items) {
        if (head) {
          exec = execOf(head);
          offset = head.offset;
          epoch = ++exec.stdinEpoch;
        }
        if (!exec) return refuse("INVALID_ARGUMENT", "The stream does not begin with its start");
        if (epoch !== exec.stdinEpoch) refuse("ABORTED", "A newer stream took over");
        if (data) {
          await exec.writeStdin(offset, data, false);
          offset += data.length;
        }
        if (end) await exec.writeStdin(offset, new Uint8Array(0), true);
      }
      return {};
    },

    TaskExecStdinStatus(request: ExecRef) {
      const exec = execOf(request);
      exec.stdinEpoch += 1;
      return { numBytesWritten: exec.taken, closed: exec.stdinClosed };
    },
  };
}

/** Streams output from `offset` on until its end. */
export async function* follow(
  spool: Spool,
  from: number,
  world: World,
  { signal }: CallContext,
): AsyncGenerator<{ data: Uint8Array }> {
  for (let offset = from; !signal.aborted; ) {
    const data = spool.read(offset, world.options.outputChunkBytes ?? 256 * 1024);
    if (data.length > 0) {
      offset += data.length;
      yield { data };
    } else if (spool.ended) return;
    else await spool.more(offset, signal);
  }
}

async function start(world: World, sandbox: ModalSandbox, request: ExecStart): Promise<void> {
  const { execId: id, commandArgs: argv } = request;
  const machine = sandbox.running();
  const idle = sandbox.busy();
  const run = async (): Promise<Exec> => {
    if (argv[0] === FILE_TOOL) return runFileTool(id, argv, sandbox.disk, sandbox.scratch);
    const workdir = request.workdir ?? sandbox.workdir;
    await checkWorkdir(sandbox, workdir);
    const { image, env } = sandbox.plan;
    const own = world.variablesOf([
      ...request.secretIds.map((secretId) => ({ secretId })),
      ...request.secretSources,
      { env: { contents: request.env } },
    ]);
    const timeoutMs = request.timeoutSecs === undefined ? null : request.timeoutSecs * 1000;
    const plan = {
      id,
      argv,
      workdir,
      env: { ...machine.env, ...image.env, ...env, ...own },
      timeoutMs,
      pty: request.ptyInfo?.enabled ?? false,
      maxOutputBytes: world.options.maxOutputBytes ?? 2 ** 31,
    };
    return runCommand(plan, machine, sandbox.scratch);
  };
  try {
    const exec = await run();
    if (sandbox.result !== null) exec.kill();
    sandbox.execs.set(id, exec);
    sandbox.used = true;
    void exec.exited.then(idle);
  } catch (error) {
    idle();
    throw error;
  }
}

async function checkWorkdir(sandbox: ModalSandbox, path: string): Promise<void> {
  const place = await placeOf(sandbox.root, sandbox.disk.mounts, path).catch(() => null);
  if (place === null) return; // in /proc or /dev: the kernel reports the error
  const found = await stat(place.host).catch(() => null);
  if (!found?.isDirectory()) refuse("INVALID_ARGUMENT", `Working directory ${path} does not exist`);
}
