import type { ModalClient } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { ListedSandbox } from "../port.ts";
import type { CallDeps } from "./limits.ts";
import { isNoMore, isRetryable, kindOf, messageOf } from "./modal-error.ts";

/** @source Modal's server lists at most 100 sandboxes per page, newest first; times are fractional seconds since the epoch */
const SAME_MOMENT_S = 1e-6;
const MAX_PAGES = 200;

type Page = Awaited<ReturnType<ModalClient["cpClient"]["sandboxList"]>>;
type Info = Page["sandboxes"][number];

/**
 * The live sandboxes of an app, with their tags. Asks both of Modal's backends directly: the SDK's own listing returns bare
 * handles without tags and times, and asks only one backend unless configured otherwise.
 * @throws PluginError `sandbox_lost`: retryable unless Modal refused the call
 * @source Modal JS SDK 0.11.1, cpClient: SandboxListV2 and SandboxList
 */
export async function listSandboxes(
  client: ModalClient,
  appID: string,
  environment: string | null,
  deps: CallDeps,
): Promise<readonly ListedSandbox[]> {
  const { clock, limits, log } = deps;
  const limit = { clock, limitMs: limits.callMs, doing: "Listing the sandboxes" };
  const request = {
    appId: appID,
    environmentName: client.environmentName(environment ?? undefined),
    includeFinished: false,
    tags: [],
  };
  const pagesOf = async (ask: (beforeTimestamp: number | undefined) => Promise<Page>): Promise<Info[]> => {
    const found = new Map<string, Info>();
    let before: number | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { sandboxes } = await within(ask(before), limit);
      const known = found.size;
      for (const info of sandboxes) found.set(info.id, info);
      const last = sandboxes.at(-1);
      if (last === undefined || found.size === known) break;
      // Asks for the last moment again, because the page may have ended in the middle of its sandboxes.
      before = last.createdAt + SAME_MOMENT_S;
    }
    return [...found.values()];
  };
  try {
    const [newer, older] = await Promise.all([
      pagesOf((beforeTimestamp) =>
        client.cpClient.sandboxListV2({ ...request, ...(beforeTimestamp !== undefined && { beforeTimestamp }) }),
      ),
      pagesOf((beforeTimestamp) =>
        client.cpClient.sandboxList({ ...request, ...(beforeTimestamp !== undefined && { beforeTimestamp }) }),
      ).catch((error: unknown) => {
        if (isRetryable(kindOf(error)) !== null) throw error;
        log("debug", "The older listing is not offered", { error: messageOf(error) });
        return [];
      }),
    ]);
    const byID = new Map([...older, ...newer].map((info) => [info.id, info]));
    return await Promise.all(
      [...byID.values()].map(async (info) => ({
        id: info.id,
        tags: await tagsOf(client, info, deps),
        createdAt: info.createdAt > 0 ? info.createdAt * 1000 : null,
        billedSince: info.taskInfo && info.taskInfo.startedAt > 0 ? info.taskInfo.startedAt * 1000 : null,
      })),
    );
  } catch (error) {
    throw new PluginError("sandbox_lost", `Could not list the sandboxes of the Modal app: ${messageOf(error)}`, {
      cause: error,
      retryable: isRetryable(kindOf(error)),
    });
  }
}

async function tagsOf(client: ModalClient, info: Info, { clock, limits }: CallDeps): Promise<Record<string, string>> {
  if (info.tags.length > 0) return Object.fromEntries(info.tags.map(({ tagName, tagValue }) => [tagName, tagValue]));
  const sandbox = await client.sandboxes.fromId(info.id);
  try {
    return await within(sandbox.getTags(), {
      clock,
      limitMs: limits.callMs,
      doing: `Asking for the tags of ${info.id}`,
    });
  } catch (error) {
    if (isNoMore(kindOf(error))) return {};
    throw error;
  } finally {
    sandbox.detach();
  }
}
