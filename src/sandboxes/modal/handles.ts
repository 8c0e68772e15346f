import type { App, Image, ModalClient } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { within } from "../../shared/time-limit.ts";
import type { StepListener } from "../creation-steps.ts";
import type { SandboxSpec } from "../port.ts";
import { isOldBackend } from "./attach.ts";
import { expired, type ImageCache } from "./image-cache.ts";
import { recipeOf } from "./image-recipe.ts";
import type { CallDeps } from "./limits.ts";
import type { ModalAccess } from "./modal-client.ts";
import { kindOf, messageOf, statusOf } from "./modal-error.ts";
import { parseSnapshotID } from "./snapshot-id.ts";

/*
 * The ids of an app and an image are looked up once and then reused. Modal may forget both while we hold them: the user
 * stops the app, an image expires or is deleted. A creation that fails for that is repeated once with ids looked up anew. A
 * snapshot cannot be made anew, so one that is gone is an error. At Modal a sandbox can be created from an image that is
 * gone: that shows only at its first command.
 */

const GONE = /not found|could not find|does not exist|no longer|expired|deleted|removed|stopped|garbage.collected/i;
const IMAGE = /\b(?:image|snapshot)s?\b/i;
const APP = /\bapps?\b/i;
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

function mayBeMissing(cause: unknown): boolean {
  const kind = kindOf(cause);
  // A sandbox of the older backend ends before its creation is answered, for whatever reason its message gives.
  return kind === "gone" || kind === "ended" || (statusOf(cause) === FAILED_PRECONDITION && kind !== "spend");
}

/**
 * Which of what a sandbox is made from Modal says it does not have; null where the failure says nothing of the kind.
 * FAILED_PRECONDITION may as well mean that a sandbox has ended or a budget is spent, so there the message decides.
 */
export function missingHandle(error: unknown): "app" | "image" | "unknown" | null {
  const cause = error instanceof PluginError ? error.cause : error;
  if (!mayBeMissing(cause)) return null;
  const said = messageOf(cause);
  if (GONE.test(said) && IMAGE.test(said)) return "image";
  if (GONE.test(said) && APP.test(said)) return "app";
  return statusOf(cause) === NOT_FOUND ? "unknown" : null;
}

export interface HandlesDeps extends CallDeps {
  readonly access: Pick<ModalAccess, "app" | "forgetApp">;
  readonly images: Pick<ImageCache, "forSpec" | "forget" | "forgetSnapshot">;
  readonly onStep?: StepListener | undefined;
}

/**
 * Gives `use` the app and the image that a sandbox is made from. If Modal no longer knows one of them, both are looked up
 * again, and `use` is called once more.
 * @throws PluginError `snapshot_expired`; what `use` throws
 */
export async function withHandles<T>(
  deps: HandlesDeps,
  client: ModalClient,
  spec: SandboxSpec,
  use: (app: App, image: Image) => Promise<T>,
): Promise<T> {
  const { access, images, log } = deps;
  const { snapshotID } = spec;
  for (let attempt = 1; ; attempt += 1) {
    const app = await access.app();
    try {
      return await use(app, await images.forSpec(client, app, spec, deps.onStep));
    } catch (error) {
      if (snapshotID !== null) images.forgetSnapshot(snapshotID);
      if (error instanceof PluginError && error.code === "snapshot_expired") throw error;
      const missing = missingHandle(error);
      const isOfSnapshot = snapshotID !== null && parseSnapshotID(snapshotID)?.path === null;
      if (isOfSnapshot && missing === "image") throw expired(snapshotID, error);
      if (missing !== null && attempt === 1) {
        log("info", "Modal no longer knows an app or image, looking both up again", { missing, name: spec.name });
        access.forgetApp(app);
        images.forget(recipeOf(spec));
        continue;
      }
      if (isOfSnapshot && (missing === "unknown" || (await isGone(deps, client, snapshotID, error))))
        throw expired(snapshotID, error);
      throw error;
    }
  }
}

/** Whether a failure that does not say so comes from a snapshot that is gone: asks Modal for its image. */
async function isGone(deps: CallDeps, client: ModalClient, snapshotID: string, error: unknown): Promise<boolean> {
  const imageID = parseSnapshotID(snapshotID)?.imageID;
  const cause = error instanceof PluginError ? error.cause : error;
  if (imageID === undefined || !mayBeMissing(cause)) return false;
  const { clock, limits } = deps;
  return within(client.images.fromId(imageID), { clock, limitMs: limits.callMs, doing: `Looking up ${imageID}` }).then(
    () => false,
    (failure: unknown) => missingHandle(failure) !== null,
  );
}

/**
 * The failure of a new sandbox's first command: where Modal ended the sandbox because its image is gone, an error that says
 * so in place of the command's own, which only says that the sandbox does not run. Never throws.
 * @source Modal JS SDK 0.11.1, cpClient: its own `poll` leaves out why a sandbox has ended
 */
export async function firstFailure(
  { clock, limits }: CallDeps,
  client: ModalClient,
  sandboxId: string,
  error: unknown,
): Promise<unknown> {
  if (!mayBeMissing(error)) return error;
  const request = { sandboxId, timeout: 0 };
  const asking = isOldBackend(sandboxId)
    ? client.cpClient.sandboxWait(request)
    : client.cpClient.sandboxWaitV2(request);
  const doing = `Asking why sandbox ${sandboxId} has ended`;
  const ended = await within(asking, { clock, limitMs: limits.callMs, doing }).catch(() => null);
  const said = ended?.result?.exception ?? "";
  if (!GONE.test(said) || !IMAGE.test(said)) return error;
  return Object.assign(new Error(said, { cause: error }), { name: "NotFoundError" });
}

/** Asks with the app; once more with the app looked up again if Modal no longer knows it. @throws what `ask` throws */
export async function withApp<T>(access: HandlesDeps["access"], ask: (app: App) => Promise<T>): Promise<T> {
  const app = await access.app();
  try {
    return await ask(app);
  } catch (error) {
    if (missingHandle(error) === null) throw error;
    access.forgetApp(app);
    return ask(await access.app());
  }
}
