import { type Exec, runCommand } from "./exec.ts";
import { prefixedId } from "./ids.ts";
import type { NetworkAccess } from "./messages.ts";
import { findOpen } from "./open-files.ts";
import { refuse } from "./refusal.ts";
import { follow } from "./router-exec.ts";
import type { ModalSandbox } from "./sandbox.ts";
import type { CallContext, Handlers } from "./service.ts";
import type { World } from "./world.ts";

const ALLOWLIST = 3;

/** Router: the sandbox's first command, readiness, volumes and network. */
export function taskHandlers(world: World): Handlers {
  const entrypointOf = (taskId: string): Exec =>
    world.task(taskId).entrypoint ?? refuse("FAILED_PRECONDITION", "The sandbox has no command of its own");

  return {
    async *SandboxStdioReadV2(
      request: { taskId: string; offset: number; fileDescriptor: number },
      context: CallContext,
    ) {
      const sandbox = world.task(request.taskId);
      if (sandbox.entrypoint === null) return await sandbox.ended.then(() => undefined);
      let offset = request.offset;
      const spool = request.fileDescriptor === 0 ? sandbox.entrypoint.stdout : sandbox.entrypoint.stderr;
      for await (const { data } of follow(spool, offset, world, context)) {
        yield { data, startingOffset: offset };
        offset += data.length;
      }
    },

    async SandboxStdinWriteV2(request: { taskId: string; offset: number; data: Uint8Array; eof: boolean }) {
      await entrypointOf(request.taskId).writeStdin(request.offset, request.data, request.eof);
      return {};
    },

    async SandboxWaitUntilReady({ taskId, timeout }: { taskId: string; timeout: number }) {
      const sandbox = world.task(taskId);
      const probe = sandbox.plan.definition.readinessProbe;
      if (!probe) return refuse("FAILED_PRECONDITION", "The sandbox has no readiness probe");
      const argv = probe.execCommand?.argv ?? ["/bin/bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${probe.tcpPort}`];
      for (const until = Date.now() + timeout * 1000; Date.now() < until; ) {
        if (await succeeds(sandbox, argv)) return { readyAt: Date.now() / 1000 };
        await new Promise((resolve) => setTimeout(resolve, probe.intervalMs ?? 100));
      }
      return refuse("DEADLINE_EXCEEDED", "The sandbox is not ready");
    },

    async TaskReloadVolumes({ taskId }: { taskId: string }) {
      const sandbox = world.task(taskId);
      const { pid } = sandbox.running();
      const { volumes, settled } = sandbox.plan;
      const open = await findOpen(pid, volumes.flatMap(({ paths }) => paths)); // biome-ignore format: short
      if (open !== null)
        refuse("FAILED_PRECONDITION", `volume busy: there are open files preventing the operation: ${open}`);
      if (volumes.length > 0) await settled();
      for (const each of volumes) await each.reload();
      return {};
    },

    TaskSetNetworkAccess({ taskId, networkAccess }: { taskId: string; networkAccess?: NetworkAccess }) {
      world.task(taskId).running();
      if (networkAccess?.networkAccessType !== ALLOWLIST) refuse("INVALID_ARGUMENT", "Only an allow-list can be set");
      return {};
    },
  };
}

async function succeeds(sandbox: ModalSandbox, argv: readonly string[]): Promise<boolean> {
  const machine = sandbox.running();
  const env = { ...machine.env, ...sandbox.plan.env };
  const exec = runCommand(
    { id: prefixedId("pr"), argv, workdir: "/", env, timeoutMs: 5000, pty: false, maxOutputBytes: 1e6 },
    machine,
    sandbox.scratch,
  );
  const { code } = await exec.exited;
  exec.drop();
  return code === 0;
}
