import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./exec.ts";
import { prefixedId, ulid } from "./ids.ts";
import type { Mount } from "./machine.ts";
import type { SandboxCreate, SandboxDefinition, SandboxRef } from "./messages.ts";
import { refuse } from "./refusal.ts";
import { ModalSandbox, type Result } from "./sandbox.ts";
import { checkDefinition, gpuOf } from "./sandbox-checks.ts";
import type { CallContext, Handlers } from "./service.ts";
import { SyncTool, VolumeCopy } from "./volumes.ts";
import type { World } from "./world.ts";

const TERMINATED: Result = { status: 3, exitcode: 137, exception: "" };

/** Control plane: creating, awaiting and ending sandboxes. V1 waits for a machine after the reply, V2 before it. */
export function sandboxHandlers(world: World): Handlers {
  // A retried creation carries the key of the first one and must not create a second sandbox.
  const byKey = new Map<string, Promise<ModalSandbox>>();
  const once = (context: CallContext, make: () => Promise<ModalSandbox>): Promise<ModalSandbox> => {
    const key = context.header("x-idempotency-key") ?? prefixedId("key");
    const known = byKey.get(key) ?? make();
    byKey.set(key, known);
    known.catch(() => byKey.delete(key));
    return known;
  };

  const create = async (request: SandboxCreate, generation: "v1" | "v2"): Promise<ModalSandbox> => {
    world.creationRate.take();
    const sandbox = prepare(world, request, generation);
    world.sandboxes.set(sandbox.id, sandbox);
    world.tasks.set(sandbox.taskId, sandbox);
    if (generation === "v1") void schedule(world, sandbox);
    else if (sandbox.plan.bootMs === 0) await begin(world, sandbox);
    else void begin(world, sandbox).catch((error) => sandbox.end(failed(error)));
    return sandbox;
  };

  const wait = async ({ sandboxId, timeout }: SandboxRef) => {
    const sandbox = world.sandbox(sandboxId);
    if ((timeout ?? 0) > 0)
      await Promise.race([sandbox.ended, new Promise((resolve) => setTimeout(resolve, (timeout ?? 0) * 1000).unref())]);
    return { result: sandbox.result ?? undefined, metadata: { appId: sandbox.plan.appId } };
  };
  const terminate = ({ sandboxId }: SandboxRef) => {
    const sandbox = world.sandbox(sandboxId);
    const existingResult = sandbox.result ?? undefined;
    sandbox.stop(TERMINATED, world.pace.terminateMs());
    return { existingResult };
  };
  const taskId = ({ sandboxId }: SandboxRef) => {
    const sandbox = world.sandbox(sandboxId);
    const known = sandbox.plan.bootMs > 0 ? sandbox.scheduled : sandbox.machine !== null;
    return { taskId: known ? sandbox.taskId : undefined, taskResult: sandbox.result ?? undefined };
  };

  return {
    SandboxCreate: async (request: SandboxCreate, context) => ({
      sandboxId: (await once(context, () => create(request, "v1"))).id,
    }),
    async SandboxCreateV2(request: SandboxCreate, context) {
      const sandbox = await once(context, () => create(request, "v2"));
      return {
        sandboxId: sandbox.id,
        taskId: sandbox.taskId,
        tunnels: tunnelsOf(sandbox),
        commandRouterAccess: world.routerAccess(sandbox.taskId),
      };
    },
    SandboxWait: wait,
    SandboxWaitV2: wait,
    SandboxTerminate: terminate,
    SandboxTerminateV2: terminate,
    SandboxGetTaskId: taskId,
    SandboxGetTaskIdV2: taskId,
    SandboxGetCommandRouterAccess: ({ sandboxId }: SandboxRef) => world.routerAccess(world.sandbox(sandboxId).taskId),
    TaskGetCommandRouterAccess: (request: { taskId: string }) => world.routerAccess(world.task(request.taskId).taskId),
  };
}

export function tunnelsOf(sandbox: ModalSandbox): object[] {
  return (sandbox.plan.definition.openPorts?.ports ?? []).map(({ port, unencrypted }) => {
    const host = `${sandbox.id.toLowerCase()}-${port}.tunnel.invalid`;
    return {
      host,
      port: 443,
      containerPort: port,
      ...(unencrypted ? { unencryptedHost: host, unencryptedPort: 10_000 + (port % 50_000) } : {}),
    };
  });
}

function prepare(world: World, request: SandboxCreate, generation: "v1" | "v2"): ModalSandbox {
  const definition = checkDefinition(request.definition);
  if (![...world.apps.values()].includes(request.appId)) refuse("NOT_FOUND", `App ${request.appId} not found`);
  const image = world.images.find(definition.imageId);
  if (image.kind === "directory")
    refuse("INVALID_ARGUMENT", `Image ${image.id} is the snapshot of a directory: mount it, it cannot be started from`);
  const { regions } = world.options;
  const strange = definition.schedulerPlacement?.regions.find((region) => !(regions ?? [region]).includes(region));
  if (strange !== undefined) refuse("INVALID_ARGUMENT", `Invalid region: ${strange}`);
  if (world.spent) refuse(world.behaviour.spendLimitCode, "workspace billing cycle spend limit reached");
  const gpu = gpuOf(definition.resources?.gpuConfig);
  if (gpu && generation === "v2") refuse("INVALID_ARGUMENT", "GPUs are not supported by V2 sandboxes");
  const { name } = definition;
  const namesake =
    name !== undefined && world.running().find((each) => each.plan.appId === request.appId && each.name === name);
  if (namesake) refuse("ALREADY_EXISTS", `A sandbox named '${name}' already runs: ${namesake.id}`);
  if (world.running().length >= world.workspaceLimit)
    refuse("RESOURCE_EXHAUSTED", `The workspace's limit of ${world.workspaceLimit} running sandboxes is reached.`);
  const sources = [
    ...definition.secretIds.map((secretId) => ({ secretId })),
    ...(request.secretSources ?? []),
    ...(request.ephemeralSecrets ? [{ env: request.ephemeralSecrets }] : []),
  ];
  const id = generation === "v1" ? prefixedId("sb") : ulid();
  const folder = join(world.folder, "sandboxes", id);
  const volumes = world.behaviour.volumeCommits ? volumesOf(world, definition, folder) : [];
  const sync = volumes.length > 0 ? new SyncTool(join(folder, "sync"), volumes) : null;
  return new ModalSandbox({
    id, generation, appId: request.appId, definition, image, tags: request.tags, env: world.variablesOf(sources), gpu,
    bootMs: world.pace.bootMs(),
    mounts: [...mountsOf(world, definition, volumes), ...(sync ? [sync.mount] : [])], volumes, sync,
    settled: () => Promise.all([...world.sandboxes.values()].map((each) => each.result && each.gone)),
    createdAt: world.moment(), folder, secondMs: world.secondMs,
    devices: gpu ? world.behaviour.devices[gpu.type] : undefined, overlay: world.options.overlay ?? false, onEnd: (sandbox) => freezeAtExit(world, sandbox),
  }); // biome-ignore format: one argument
}

/** A sandbox's own copy of each of its volumes. */
function volumesOf(world: World, { volumeMounts }: SandboxDefinition, folder: string): VolumeCopy[] {
  const copies = new Map<string, VolumeCopy>();
  for (const { volumeId, mountPath } of volumeMounts) {
    const [committed, copy] = [join(world.folder, "volumes", volumeId), join(folder, "volumes", volumeId)];
    const parts = { committed, copy, turns: world.volumeTurns };
    const own = copies.get(volumeId) ?? new VolumeCopy(volumeId, world.volumeVersions.get(volumeId) ?? 1, parts);
    own.paths.push(mountPath);
    copies.set(volumeId, own);
  }
  return [...copies.values()];
}

/** Volumes and buckets are directories of the server, shared by all sandboxes that mount them without copies of their own. */
function mountsOf(world: World, definition: SandboxDefinition, copies: readonly VolumeCopy[]): Mount[] {
  const known = new Set(world.volumes.values());
  return [
    ...definition.volumeMounts.map(({ volumeId, mountPath, readOnly, subPath }) => {
      if (!known.has(volumeId)) refuse("NOT_FOUND", `Volume ${volumeId} not found`);
      const own = copies.find((each) => each.volumeId === volumeId)?.copy;
      return {
        path: mountPath,
        host: join(own ?? join(world.folder, "volumes", volumeId), join("/", subPath ?? "")),
        readOnly,
      };
    }),
    ...definition.cloudBucketMounts.map(({ bucketName, mountPath, readOnly, keyPrefix }) => {
      if (!/^[a-z0-9.-]+$/.test(bucketName)) refuse("INVALID_ARGUMENT", `Invalid bucket name ${bucketName}`);
      const exists = world.options.buckets?.includes(bucketName) ?? true;
      const host = join(world.folder, "buckets", bucketName, join("/", keyPrefix ?? ""));
      return { path: mountPath, host, readOnly, isClosed: !exists };
    }),
  ];
}

async function begin(world: World, sandbox: ModalSandbox): Promise<void> {
  await sandbox.start(() => runMain(world, sandbox));
}

function runMain(world: World, sandbox: ModalSandbox): void {
  const { entrypointArgs, ptyInfo } = sandbox.plan.definition;
  const { entrypoint, cmd } = sandbox.plan.image.start;
  const argv = [...entrypoint, ...(entrypointArgs.length > 0 ? entrypointArgs : cmd)];
  if (argv.length === 0 || sandbox.machine === null || sandbox.result !== null) return;
  const { machine, scratch, workdir, plan } = sandbox;
  sandbox.entrypoint = runCommand(
    {
      id: "entrypoint",
      argv,
      workdir,
      env: { ...machine.env, ...plan.image.env, ...plan.env },
      timeoutMs: null,
      pty: ptyInfo?.enabled ?? false,
      maxOutputBytes: world.options.maxOutputBytes ?? 2 ** 31,
    },
    machine,
    scratch,
  );
  sandbox.execs.set("entrypoint", sandbox.entrypoint);
  // The sandbox lives as long as its first command.
  void sandbox.entrypoint.exited.then(({ code }) =>
    sandbox.endItself({ status: code === 0 ? 1 : 2, exitcode: code ?? 137, exception: "" }),
  );
}

async function schedule(world: World, sandbox: ModalSandbox): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, world.options.schedulingMs ?? 0));
  while (sandbox.result === null && !hasRoom(world, sandbox))
    await Promise.race([sandbox.ended, new Promise((resolve) => setTimeout(resolve, 25))]);
  if (sandbox.result === null) await begin(world, sandbox).catch((error) => sandbox.end(failed(error)));
}

const failed = (error: unknown): Result => ({ status: 2, exitcode: 1, exception: String(error) });

function hasRoom(world: World, sandbox: ModalSandbox): boolean {
  const { gpu } = sandbox.plan;
  const limit = gpu === null ? undefined : world.gpus.get(gpu.type);
  if (gpu === null || limit === undefined) return true;
  // First come, first served: a small request does not pass a larger one that waits.
  const isFirst = world
    .running()
    .every(
      (each) => each.scheduled || each.plan.gpu?.type !== gpu.type || each.plan.createdAt >= sandbox.plan.createdAt,
    );
  if (!isFirst) return false;
  const used = world
    .running()
    .filter((each) => each.scheduled && each.plan.gpu?.type === gpu.type)
    .reduce((sum, each) => sum + (each.plan.gpu?.count ?? 0), 0);
  return used + gpu.count <= limit;
}

/** What SandboxGetExitSnapshot will return, and from when. */
export const exitSnapshots = new WeakMap<ModalSandbox, { readonly imageId: string; readonly readyAt: number }>();

async function freezeAtExit(world: World, sandbox: ModalSandbox): Promise<void> {
  if (sandbox.plan.definition.experimentalOptionsV2.enable_exit_snapshot !== "true" || sandbox.machine === null) return;
  if (sandbox.plan.generation === "v2" && !world.behaviour.exitSnapshotsOfV2) return;
  await mkdir(sandbox.root, { recursive: true });
  const image = await world.images.freeze("filesystem", sandbox.root, sandbox.plan.image, null);
  exitSnapshots.set(sandbox, { imageId: image.id, readyAt: Date.now() + world.pace.exitSnapshotMs() });
}
