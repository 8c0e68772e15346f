import type { ModalClient } from "modal";
import { within } from "../../shared/deadline.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { ListedSandbox } from "../port.ts";
import { isRetryable, kindOf, wordsOf } from "./modal-error.ts";
import type { StrayDeps } from "./strays.ts";

/** @source Modal's server lists at most 100 a page, newest first; its times are seconds with fractions */
const SAME_MOMENT_S = 1e-6;
const MAX_PAGES = 200;

type Page = Awaited<ReturnType<ModalClient["cpClient"]["sandboxList"]>>;
type Info = Page["sandboxes"][number];

/**
 * The sandboxes of an app that run. The SDK's own listing gives bare handles, of one backend or of both depending on a
 * setting; here both are asked, and their answers hold tags and times. @throws PluginError `sandbox_lost`
 */
export async function listSandboxes(
  client: ModalClient,
  appID: string,
  environment: string | null,
  deps: StrayDeps,
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
      // Those of the same moment once more: a page may end in the middle of them.
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
        log("debug", "The older listing is not offered", { error: wordsOf(error) });
        return [];
      }),
    ]);
    const byID = new Map([...older, ...newer].map((info) => [info.id, info]));
    return await Promise.all(
      [...byID.values()].map(async (info) => ({
        id: info.id,
        tags: await tagsOf(client, info, deps),
        createdAt: info.createdAt > 0 ? info.createdAt * 1000 : null,
      })),
    );
  } catch (error) {
    throw new PluginError("sandbox_lost", `Could not list the sandboxes of the Modal app: ${wordsOf(error)}`, {
      cause: error,
      retryable: isRetryable(kindOf(error)),
    });
  }
}

async function tagsOf(client: ModalClient, info: Info, { clock, limits }: StrayDeps): Promise<Record<string, string>> {
  if (info.tags.length > 0) return Object.fromEntries(info.tags.map(({ tagName, tagValue }) => [tagName, tagValue]));
  const sandbox = await client.sandboxes.fromId(info.id);
  try {
    return await within(sandbox.getTags(), {
      clock,
      limitMs: limits.callMs,
      doing: `Asking for the tags of ${info.id}`,
    });
  } catch (error) {
    if (kindOf(error) === "gone") return {};
    throw error;
  } finally {
    sandbox.detach();
  }
}
