import type { App, Image, ModalClient } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { within } from "../../shared/time-limit.ts";
import { SharedSteps, type StepListener } from "../creation-steps.ts";
import type { SandboxSpec } from "../port.ts";
import { createFailure } from "./create-failure.ts";
import type { Credentials } from "./credentials.ts";
import { type BuildDeps, buildImage } from "./image-build.ts";
import {
  type ImageRecipe,
  imageOf,
  missingImage,
  nameOfRecipe,
  pullProblem,
  recipeOf,
  silentProblem,
} from "./image-recipe.ts";
import { kindOf } from "./modal-error.ts";
import { parseSnapshotID, parseTarID } from "./snapshot-id.ts";

export interface ImageDeps extends BuildDeps {
  readonly credentials: () => Credentials;
}

/** How long a snapshot that was found is taken to be there. */
const FRESH_MS = 30_000;

/** Images by recipe. Each is built once, however many sandboxes ask for it at the same time. */
export class ImageCache {
  readonly #deps: ImageDeps;
  readonly #built = new PromiseCache<string, Image>();
  /** Of snapshots, by id, since when they are known. */
  readonly #found = new Map<string, { readonly image: Promise<Image>; readonly since: number }>();
  /** Of the builds under way. */
  readonly #steps = new Map<string, SharedSteps>();

  constructor(deps: ImageDeps) {
    this.#deps = deps;
  }

  /**
   * The image that a sandbox starts from: its snapshot, or else the image of its recipe.
   * @throws PluginError `snapshot_expired`, `not_found`, `sandbox_create_timeout`, `sandbox_create_failed`
   */
  async forSpec(client: ModalClient, app: App, spec: SandboxSpec, onStep?: StepListener | undefined): Promise<Image> {
    const recipe = recipeOf(spec);
    if (spec.snapshotID === null || parseTarID(spec.snapshotID)) return this.built(client, app, recipe, onStep);
    const frozen = await this.ofSnapshot(client, spec.snapshotID);
    // A directory's snapshot is looked up too, before a sandbox is paid for, but restored into a sandbox of the recipe.
    return parseSnapshotID(spec.snapshotID)?.path == null ? frozen : this.built(client, app, recipe, onStep);
  }

  /**
   * The image of a recipe, built if necessary.
   * @param onStep told how the build goes, also of one that others wait for already
   * @throws PluginError `sandbox_create_timeout`, `sandbox_create_failed`
   */
  built(client: ModalClient, app: App, recipe: ImageRecipe, onStep?: StepListener | undefined): Promise<Image> {
    const key = JSON.stringify(recipe);
    // After a failure the next sandbox tries again, since a registry or a build may work then.
    const built = this.#built.getOrMake(key, () => {
      const steps = new SharedSteps();
      this.#steps.set(key, steps);
      return this.#build(client, app, recipe, steps.tell).finally(() => {
        if (this.#steps.get(key) === steps) this.#steps.delete(key);
      });
    });
    return this.#steps.get(key)?.follow(built, onStep) ?? built;
  }

  /** Has the image of a recipe looked up, and built if necessary, again at the next call: Modal no longer knows it. */
  forget(recipe: ImageRecipe): void {
    this.#built.delete(JSON.stringify(recipe));
  }

  /**
   * The image of a snapshot. What was found moments ago is not asked for again: hundreds of sandboxes may start from one
   * snapshot, and one that has gone meanwhile shows when a sandbox is created from it.
   * @throws PluginError `snapshot_expired`, `not_found`
   */
  ofSnapshot(client: ModalClient, snapshotID: string): Promise<Image> {
    const now = this.#deps.clock.now();
    for (const [id, { since }] of this.#found) if (now - since > FRESH_MS) this.#found.delete(id);
    const known = this.#found.get(snapshotID)?.image;
    if (known) return known;
    const image = this.#find(client, snapshotID);
    this.#found.set(snapshotID, { image, since: now });
    image.catch(() => this.forgetSnapshot(snapshotID));
    return image;
  }

  /** Has a snapshot looked up again at the next call. */
  forgetSnapshot(snapshotID: string): void {
    this.#found.delete(snapshotID);
  }

  async #find(client: ModalClient, snapshotID: string): Promise<Image> {
    const { clock, limits } = this.#deps;
    const credentials = this.#deps.credentials();
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

  async #build(client: ModalClient, app: App, recipe: ImageRecipe, tell: StepListener): Promise<Image> {
    const name = nameOfRecipe(recipe);
    try {
      return await buildImage(this.#deps, client, app, {
        name,
        prepare: () => imageOf(client, recipe),
        explain: (said) => pullProblem(said, recipe),
        silent: silentProblem(recipe),
        tell,
      });
    } catch (error) {
      throw createFailure(error, {
        doing: `build image ${name}`,
        credentials: this.#deps.credentials(),
        isLookup: true,
        missing: missingImage(recipe),
      });
    }
  }
}

const isMissing = (error: unknown): boolean => ["gone", "expired", "invalid"].includes(kindOf(error));

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
