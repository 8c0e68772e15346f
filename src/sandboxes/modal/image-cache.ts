import type { App, Image, ModalClient } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { within } from "../../shared/time-limit.ts";
import type { SandboxSpec } from "../port.ts";
import { createFailure } from "./create-failure.ts";
import type { Credentials } from "./credentials.ts";
import { type ImageRecipe, imageOf, missingImage, nameOfRecipe, pullProblem, recipeOf } from "./image-recipe.ts";
import type { ModalLimits } from "./limits.ts";
import { kindOf, messageOf } from "./modal-error.ts";
import { parseSnapshotID } from "./snapshot-id.ts";

const BUILD_ATTEMPTS = 2;

export interface ImageDeps {
  readonly clock: Clock;
  readonly limits: ModalLimits;
  readonly credentials: Credentials;
}

/** Images by recipe. Each is built once, however many sandboxes ask for it at the same time. */
export class ImageCache {
  readonly #deps: ImageDeps;
  readonly #built = new PromiseCache<string, Image>();

  constructor(deps: ImageDeps) {
    this.#deps = deps;
  }

  /**
   * The image that a sandbox starts from: its snapshot, or else the image of its recipe.
   * @throws PluginError `snapshot_expired`, `not_found`, `sandbox_create_timeout`, `sandbox_create_failed`
   */
  async forSpec(client: ModalClient, app: App, spec: SandboxSpec): Promise<Image> {
    const recipe = recipeOf(spec);
    if (spec.snapshotID === null) return this.built(client, app, recipe);
    const frozen = await this.ofSnapshot(client, spec.snapshotID);
    // A directory's snapshot is looked up too, before a sandbox is paid for, but restored into a sandbox of the recipe.
    return parseSnapshotID(spec.snapshotID)?.path == null ? frozen : this.built(client, app, recipe);
  }

  /** The image of a recipe, built if necessary. @throws PluginError `sandbox_create_timeout`, `sandbox_create_failed` */
  built(client: ModalClient, app: App, recipe: ImageRecipe): Promise<Image> {
    // After a failure the next sandbox tries again, since a registry or a build may work then.
    return this.#built.getOrMake(JSON.stringify(recipe), () => this.#build(client, app, recipe));
  }

  /** Has the image of a recipe looked up, and built if necessary, again at the next call: Modal no longer knows it. */
  forget(recipe: ImageRecipe): void {
    this.#built.delete(JSON.stringify(recipe));
  }

  /** The image of a snapshot. @throws PluginError `snapshot_expired`, `not_found` */
  async ofSnapshot(client: ModalClient, snapshotID: string): Promise<Image> {
    const { clock, limits, credentials } = this.#deps;
    const snapshot = parseSnapshotID(snapshotID);
    if (snapshot === null)
      throw new PluginError("not_found", `${snapshotID} is not the id of a Modal snapshot.`, { retryable: false });
    return within(client.images.fromId(snapshot.imageID), {
      clock,
      limitMs: limits.callMs,
      doing: `Looking up snapshot ${snapshotID}`,
    }).catch((error: unknown) => {
      if (isMissing(error)) throw expired(snapshotID, error);
      throw createFailure(error, { doing: `find snapshot ${snapshotID}`, credentials, isLookup: true });
    });
  }

  async #build(client: ModalClient, app: App, recipe: ImageRecipe): Promise<Image> {
    const { clock, limits, credentials } = this.#deps;
    const name = nameOfRecipe(recipe);
    const doing = `Building image ${name}`;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const image = await within(imageOf(client, recipe), { clock, limitMs: limits.callMs, doing });
        // Built explicitly before any sandbox: building can take minutes, and the SDK waits for it without a limit.
        return await within(image.build(app), { clock, limitMs: limits.buildMs, doing });
      } catch (error) {
        // Nothing is built twice, because images are addressed by their content.
        if (kindOf(error) === "unreachable" && attempt < BUILD_ATTEMPTS) continue;
        if (kindOf(error) === "timed_out")
          throw new PluginError("sandbox_create_timeout", `${messageOf(error)}; this limit cannot be changed.`, {
            cause: error,
            retryable: true,
          });
        const pull = kindOf(error) === "other" ? pullProblem(messageOf(error), recipe) : null;
        if (pull !== null)
          throw new PluginError("sandbox_create_failed", `${pull} Modal says: ${messageOf(error)}`, {
            cause: error,
            retryable: false,
          });
        throw createFailure(error, {
          doing: `build image ${name}`,
          credentials,
          missing: missingImage(recipe),
        });
      }
    }
  }
}

const isMissing = (error: unknown): boolean => kindOf(error) === "gone" || kindOf(error) === "invalid";

/** The error for a snapshot that Modal no longer has. */
export const expired = (snapshotID: string, cause: unknown): PluginError =>
  new PluginError(
    "snapshot_expired",
    `Snapshot ${snapshotID} no longer exists at Modal: it has expired or was removed.`,
    {
      cause,
      retryable: false,
    },
  );
