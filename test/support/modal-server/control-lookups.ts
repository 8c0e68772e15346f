import { exitSnapshots, tunnelsOf } from "./control-sandboxes.ts";
import { prefixedId } from "./ids.ts";
import type { SandboxList, SandboxRef, Tag } from "./messages.ts";
import { pause } from "./pace.ts";
import { refuse } from "./refusal.ts";
import type { ModalSandbox } from "./sandbox.ts";
import type { CallContext, Handlers } from "./service.ts";
import type { World } from "./world.ts";

interface ByName {
  readonly sandboxName: string;
  readonly appName: string;
  readonly includeTerminated: boolean;
}

/** Control plane: finding sandboxes and facts about them. */
export function lookupHandlers(world: World): Handlers {
  const list = (request: SandboxList, generations: readonly string[]) => {
    const found = [...world.sandboxes.values()]
      .filter(
        (each) =>
          generations.includes(each.plan.generation) && (request.appId === "" || each.plan.appId === request.appId),
      )
      .filter((each) => request.includeFinished || each.result === null)
      .filter((each) => each.scheduled || each.result !== null || world.behaviour.queuedListed)
      .filter((each) => request.beforeTimestamp === 0 || each.plan.createdAt < request.beforeTimestamp)
      .filter((each) =>
        request.tags.every((tag) =>
          each.tags.some((own) => own.tagName === tag.tagName && own.tagValue === tag.tagValue),
        ),
      )
      .sort((one, other) => other.plan.createdAt - one.plan.createdAt)
      .slice(0, world.options.pageSize ?? 100);
    return { sandboxes: found.map(infoOf) };
  };
  const byName = ({ sandboxName, appName, includeTerminated }: ByName, generation: "v1" | "v2") => {
    const appId = world.apps.get(appName);
    const namesakes = [...world.sandboxes.values()].filter(
      (each) => each.plan.appId === appId && each.name === sandboxName && each.plan.generation === generation,
    );
    const found =
      namesakes.find((each) => each.result === null && (each.scheduled || world.behaviour.queuedNamed)) ??
      (includeTerminated ? namesakes.at(-1) : undefined);
    return found
      ? { sandboxId: found.id, metadata: { appId } }
      : refuse("NOT_FOUND", `No sandbox named '${sandboxName}'`);
  };
  const setTags = ({ sandboxId, tags }: SandboxRef & { tags: readonly Tag[] }) => {
    world.sandbox(sandboxId).tags = tags;
    return {};
  };
  const getTags = ({ sandboxId }: SandboxRef) => ({ tags: world.sandbox(sandboxId).tags });
  const tunnels = ({ sandboxId }: SandboxRef) => ({
    result: { status: 1 },
    tunnels: tunnelsOf(world.sandbox(sandboxId)),
  });
  const connectToken = ({ sandboxId, port }: SandboxRef & { port?: number }) => {
    const sandbox = world.sandbox(sandboxId);
    sandbox.running();
    return { url: `https://${sandbox.id.toLowerCase()}-${port ?? 8080}.connect.invalid`, token: prefixedId("ct") };
  };
  const exitSnapshot = async ({ sandboxId, timeout }: SandboxRef) => {
    const sandbox = world.sandbox(sandboxId);
    if (sandbox.plan.definition.experimentalOptionsV2.enable_exit_snapshot !== "true")
      refuse("INVALID_ARGUMENT", "Exit snapshots were not enabled for this sandbox");
    const until = Date.now() + (timeout ?? 0) * 1000;
    let over = false;
    await pause(until - Date.now(), sandbox.ended.then(() => sandbox.gone).then(() => { over = true; })); // biome-ignore format: short
    const taken = exitSnapshots.get(sandbox);
    if (taken && taken.readyAt <= until) {
      await pause(taken.readyAt - Date.now());
      return { success: { imageId: taken.imageId } };
    }
    if (taken) await pause(until - Date.now());
    // Nothing was frozen: it ended before it ran, or has no exit snapshots.
    return over && !taken ? { error: { errorCode: 3, message: "There is no exit snapshot" } } : { pending: {} };
  };

  return {
    SandboxList: (request: SandboxList) => list(request, ["v1"]),
    SandboxListV2: (request: SandboxList) => list(request, ["v1", "v2"]),
    SandboxGetFromName: (request: ByName) => byName(request, "v1"),
    SandboxGetFromNameV2: (request: ByName) => byName(request, "v2"),
    SandboxTagsSet: setTags,
    SandboxTagsSetV2: setTags,
    SandboxTagsGet: getTags,
    SandboxTagsGetV2: getTags,
    SandboxGetTunnels: tunnels,
    SandboxGetTunnelsV2: tunnels,
    SandboxCreateConnectToken: connectToken,
    SandboxCreateConnectTokenV2: connectToken,
    SandboxGetExitSnapshot: exitSnapshot,
    SandboxGetExitSnapshotV2: exitSnapshot,

    SandboxSetName({ sandboxId, name }: SandboxRef & { name: string }) {
      const sandbox = world.sandbox(sandboxId);
      if (sandbox.result !== null || sandbox.name !== null)
        refuse("FAILED_PRECONDITION", "The sandbox has a name already or does not run");
      if (world.running().some((each) => each.plan.appId === sandbox.plan.appId && each.name === name))
        refuse("ALREADY_EXISTS", `A sandbox named '${name}' already runs`);
      sandbox.name = name;
      return {};
    },

    SandboxGetLogs: (
      request: { sandboxId: string; fileDescriptor: number; lastEntryId: string },
      context: CallContext,
    ) => logsOf(world.sandbox(request.sandboxId), request, context),
  };
}

/** Output of a V1 sandbox's first command. An entry's id is its end offset. */
async function* logsOf(
  sandbox: ModalSandbox,
  { fileDescriptor, lastEntryId }: { fileDescriptor: number; lastEntryId: string },
  { signal }: CallContext,
) {
  const spool = fileDescriptor === 2 ? sandbox.entrypoint?.stderr : sandbox.entrypoint?.stdout;
  let offset = Number.parseInt(lastEntryId, 10) || 0;
  while (spool && !signal.aborted) {
    const data = spool.read(offset, 65_536);
    offset += data.length;
    if (data.length > 0)
      yield { entryId: `${offset}-0`, items: [{ data: Buffer.from(data).toString(), fileDescriptor }] };
    else if (spool.ended) break;
    else await spool.more(offset, signal);
  }
  if (!spool) await Promise.race([sandbox.ended, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
  if (!signal.aborted) yield { entryId: `${offset}-0`, items: [], eof: true };
}

function infoOf(sandbox: ModalSandbox): object {
  const { plan } = sandbox;
  const { timeoutSecs, idleTimeoutSecs, imageId } = plan.definition;
  const result = sandbox.result ?? undefined;
  return {
    id: sandbox.id, createdAt: plan.createdAt, appId: plan.appId, tags: sandbox.tags, name: sandbox.name ?? "", imageId, timeoutSecs, idleTimeoutSecs,
    taskInfo: { id: sandbox.taskId, startedAt: plan.createdAt, result, gpuType: plan.gpu?.type ?? "", sandboxId: sandbox.id },
    metadata: { appId: plan.appId, result },
  }; // biome-ignore format: a table
}
