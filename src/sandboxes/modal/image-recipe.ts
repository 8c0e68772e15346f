import type { Image, ModalClient, Secret } from "modal";
import { PluginError } from "../../shared/error-code.ts";
import { inQuotes, plainName } from "../../shared/plain-text.ts";
import type { MachineSpec, SandboxSpec } from "../port.ts";
import { findSecret } from "./secrets.ts";

/** Has Python, git, a compiler and curl, which most jobs need first. Modal adds the drivers of GPUs itself. */
export const DEFAULT_IMAGE = "python:3.12-bookworm";

const IMAGE_ID = /^im-[0-9A-Za-z]+$/;
/** Begins the name of an image that was published in Modal. No registry's tag begins like this. */
const PUBLISHED = "modal://";

/** What an image is made of. */
export type ImageRecipe = Pick<MachineSpec, "image" | "imageSecret">;

export const recipeOf = ({ machine }: SandboxSpec): ImageRecipe => ({
  image: machine?.image ?? null,
  imageSecret: machine?.imageSecret ?? null,
});

const partsOf = ({ image }: ImageRecipe): { readonly base: string; readonly dockerfile: readonly string[] } => {
  const { base, dockerfile } = image === null || typeof image === "string" ? { base: image, dockerfile: [] } : image;
  return { base: base ?? DEFAULT_IMAGE, dockerfile };
};

/**
 * The image of a recipe, without its entrypoint: that would run instead of our command, or take it for its arguments, and the
 * sandbox would end with it. A layer of its own, because a recipe's last command may go on in the next line.
 * @throws PluginError `sandbox_create_failed`, and what the SDK throws
 */
export async function imageOf(client: ModalClient, recipe: ImageRecipe): Promise<Image> {
  const { base, dockerfile } = partsOf(recipe);
  const copying = dockerfile.find((command) => FROM_PROJECT.test(command));
  if (copying !== undefined) throw copiesProject(copying);
  const image = await baseOf(client, base, recipe.imageSecret);
  return image.dockerfileCommands([...dockerfile]).dockerfileCommands(["ENTRYPOINT []"]);
}

/** @source Modal JS SDK 0.11.1: it sends no files with a build, so there are none to copy; `COPY --from` has its own */
const FROM_PROJECT = /^\s*(?:COPY\s+(?!(?:--\S+\s+)*--from=)|ADD\s+(?!.*(?::\/\/|git@|\$)))/i;

const copiesProject = (command: string): PluginError =>
  new PluginError(
    "sandbox_create_failed",
    `The image's command ${inQuotes(command)} copies files of the project, which an image does not get: let the environment's "setup" do what needs them, which runs with the project's files. COPY --from and ADD of a URL work.`,
    { retryable: false },
  );

async function baseOf(client: ModalClient, base: string, secretName: string | null): Promise<Image> {
  const isOurs = IMAGE_ID.test(base) || base.startsWith(PUBLISHED);
  if (secretName !== null && isOurs) {
    const message = `The environment's "imageSecret" ${inQuotes(secretName)} is for images of a registry, and ${plainName(base)} is in your Modal account: remove one of them.`;
    throw new PluginError("sandbox_create_failed", message, { retryable: false });
  }
  if (isOurs)
    return base.startsWith(PUBLISHED)
      ? client.images.fromName(base.slice(PUBLISHED.length))
      : client.images.fromId(base);
  if (secretName === null) return client.images.fromRegistry(base);
  const { keys, pull } = registryOf(base);
  return pull(client, base, await findSecret(client, secretName, { of: ` for the image ${plainName(base)}`, keys }));
}

interface Registry {
  /** Variables that its secret must have. @source Modal's documents on private registries */
  readonly keys: readonly string[];
  readonly pull: (client: ModalClient, tag: string, secret: Secret) => Image;
}

/** The kind of registry that a tag's host says. */
function registryOf(tag: string): Registry {
  const [host = ""] = tag.toLowerCase().split("/");
  if (/^\d+\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?$/.test(host))
    return {
      keys: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
      pull: (client, of, secret) => client.images.fromAwsEcr(of, secret),
    };
  if (/(?:^|[.-])(?:gcr\.io|docker\.pkg\.dev)$/.test(host))
    return {
      keys: ["SERVICE_ACCOUNT_JSON"],
      pull: (client, of, secret) => client.images.fromGcpArtifactRegistry(of, secret),
    };
  return {
    keys: ["REGISTRY_USERNAME", "REGISTRY_PASSWORD"],
    pull: (client, of, secret) => client.images.fromRegistry(of, secret),
  };
}

/** "debian:12 with 3 commands" */
export function nameOfRecipe(recipe: ImageRecipe): string {
  const { base, dockerfile } = partsOf(recipe);
  const commands = dockerfile.length === 1 ? "1 command" : `${dockerfile.length} commands`;
  return dockerfile.length === 0 ? base : `${base} with ${commands}`;
}

/** What to do about an image that Modal does not have. */
export function missingImage(recipe: ImageRecipe): string {
  const { base } = partsOf(recipe);
  const name = plainName(base.slice(PUBLISHED.length));
  return base.startsWith(PUBLISHED)
    ? `No image is published at Modal as ${name}: check the environment's "image" and modal.environment, or publish it under this name.`
    : `Image ${nameOfRecipe(recipe)} does not exist at Modal: check the task's "from" and the environment's "image".`;
}

/** What to check where a build failed and neither Modal nor its log says why: then even its first step printed nothing. */
export function silentProblem({ image, imageSecret }: ImageRecipe): string {
  const { base } = partsOf({ image, imageSecret });
  if (IMAGE_ID.test(base) || base.startsWith(PUBLISHED)) return `Check the environment's "image".`;
  const keys = registryOf(base).keys.join(" and ");
  const access =
    imageSecret === null
      ? `if it is private, set "imageSecret" to a Modal secret with ${keys}`
      : `that ${keys} of the Modal secret ${inQuotes(imageSecret)} may read it`;
  return `Check that its registry has ${plainName(base)}, the environment's "image", and ${access}.`;
}

const REFUSED =
  /unauthorized: |pull access denied|requested access to the resource is denied|authentication required|insufficient_scope/i;
const UNKNOWN = /manifest unknown|manifest for \S+ not found|name unknown|repository \S+ not found/i;
const RATE_LIMITED = /toomanyrequests|pull rate limit/i;

/**
 * Why a registry did not give an image, and what to do; null if the build failed for another reason. Modal passes on what the
 * registry said, which only its words tell apart.
 */
export function pullProblem(said: string, recipe: ImageRecipe): string | null {
  const { base } = partsOf(recipe);
  const tag = plainName(base);
  const keys = registryOf(base).keys.join(" and ");
  const withSecret = `set "imageSecret" to a Modal secret with ${keys}`;
  const { imageSecret } = recipe;
  if (RATE_LIMITED.test(said))
    return `The registry of ${tag} allows no more pulls for now. Try again later, or ${withSecret} of an account with a higher limit.`;
  if (REFUSED.test(said))
    return imageSecret === null
      ? `The registry does not give ${tag} to everyone: check its name, and if it is private, ${withSecret}.`
      : `The registry did not accept ${keys} of the Modal secret ${inQuotes(imageSecret)} for ${tag}: check them, and that they may read this image.`;
  if (UNKNOWN.test(said))
    return `The registry has no image ${tag}: check the name and tag in the environment's "image".`;
  return null;
}
