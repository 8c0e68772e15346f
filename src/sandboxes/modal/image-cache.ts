import type { App, Image, ModalClient } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { within } from "../../shared/time-limit.ts";
import type { MachineSpec, SandboxSpec } from "../port.ts";
import { createFailure } from "./create-failure.ts";
import type { Credentials } from "./credentials.ts";
import type { ModalLimits } from "./limits.ts";
import { kindOf, messageOf } from "./modal-error.ts";
import { parseSnapshotID } from "./snapshot-id.ts";

/** Has Python, git, a compiler and curl, which most jobs need first. Modal adds the drivers of GPUs itself. */
export const DEFAULT_IMAGE = "python:3.12-bookworm";

const BUILD_ATTEMPTS = 2;
const IMAGE_ID = /^im-[0-9A-Za-z]+$/;

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
    const recipe = spec.machine?.image ?? null;
    if (spec.snapshotID === null) return this.built(client, app, recipe);
    const frozen = await this.ofSnapshot(client, spec.snapshotID);
    // A directory's snapshot is looked up too, before a sandbox is paid for, but restored into a sandbox of the recipe.
    return parseSnapshotID(spec.snapshotID)?.path == null ? frozen : this.built(client, app, recipe);
  }

  /** The image of a recipe, built if necessary. @throws PluginError `sandbox_create_timeout`, `sandbox_create_failed` */
  built(client: ModalClient, app: App, recipe: MachineSpec["image"]): Promise<Image> {
    // After a failure the next sandbox tries again, since a registry or a build may work then.
    return this.#built.getOrMake(JSON.stringify(recipe), () => this.#build(client, app, recipe));
  }

  /** Has the image of a recipe looked up, and built if necessary, again at the next call: Modal no longer knows it. */
  forget(recipe: MachineSpec["image"]): void {
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

  async #build(client: ModalClient, app: App, recipe: MachineSpec["image"]): Promise<Image> {
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
        throw createFailure(error, {
          doing: `build image ${name}`,
          credentials,
          missing: `Image ${name} does not exist at Modal: check the environment's "image".`,
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

/**
 * The image of a recipe, without its entrypoint: that would run instead of our command, or take it for its arguments, and the
 * sandbox would end with it. A layer of its own, because a recipe's last command may go on in the next line.
 */
async function imageOf(client: ModalClient, recipe: MachineSpec["image"]): Promise<Image> {
  const { base, dockerfile } =
    recipe === null || typeof recipe === "string" ? { base: recipe, dockerfile: [] } : recipe;
  const from = base ?? DEFAULT_IMAGE;
  const image = IMAGE_ID.test(from) ? await client.images.fromId(from) : client.images.fromRegistry(from);
  return image.dockerfileCommands(dockerfile).dockerfileCommands(["ENTRYPOINT []"]);
}

const nameOfRecipe = (recipe: MachineSpec["image"]): string =>
  recipe === null
    ? DEFAULT_IMAGE
    : typeof recipe === "string"
      ? recipe
      : `${recipe.base ?? DEFAULT_IMAGE} with ${recipe.dockerfile.length} commands`;
