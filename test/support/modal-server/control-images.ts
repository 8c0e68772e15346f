import { prefixedId } from "./ids.ts";
import { refuse } from "./refusal.ts";
import type { Handlers } from "./service.ts";
import type { World } from "./world.ts";

interface Recipe {
  readonly appId: string;
  readonly forceBuild: boolean;
  readonly image?: {
    readonly dockerfileCommands: readonly string[];
    readonly baseImages: readonly { readonly dockerTag: string; readonly imageId: string }[];
    readonly secretIds: readonly string[];
    readonly contextFiles: readonly unknown[];
    readonly imageRegistryConfig?: { readonly registryAuthType: number; readonly secretId: string };
  };
}

interface Published {
  readonly tag: string;
  readonly environmentName: string;
}

/** RegistryAuthType */
const AUTH = { aws: 1, gcp: 2, static: 4 };

interface Join {
  readonly imageId: string;
  readonly timeout: number;
  readonly lastEntryId: string;
  readonly includeLogsForFinished: boolean;
}

const SUCCESS = { status: 1, exitcode: 0, exception: "" };

export function imageHandlers(world: World): Handlers {
  const resultOf = (failure: string | null) =>
    failure === null ? SUCCESS : { status: 2, exitcode: 1, exception: world.behaviour.silentBuilds ? "" : failure };
  return {
    /** Answers a new build before it is done, as the real service does; a known image is answered with its result. */
    async ImageGetOrCreate({ appId, image, forceBuild }: Recipe) {
      if (![...world.apps.values()].includes(appId)) return refuse("NOT_FOUND", `App ${appId} not found`);
      if (!image || image.dockerfileCommands.length === 0)
        return refuse("INVALID_ARGUMENT", "An image needs instructions");
      if (image.contextFiles.length > 0) return refuse("INVALID_ARGUMENT", "The test server takes no context files");
      const base = image.baseImages.find((each) => each.dockerTag === "base")?.imageId ?? null;
      const env = world.variablesOf(image.secretIds.map((secretId) => ({ secretId })));
      const failure = base === null ? whyNotPulled(world, image) : null;
      if (failure !== null) return { imageId: prefixedId("im"), result: resultOf(failure) };
      const built = world.images.build(image.dockerfileCommands, base, env, forceBuild);
      if (built.fresh) return { imageId: built.image.id };
      return { imageId: built.image.id, result: resultOf(await built.image.built) };
    },

    /** What a build prints as it goes; of one that has ended only the result, unless its log is asked for. */
    async *ImageJoinStreaming({ imageId, timeout, lastEntryId, includeLogsForFinished }: Join) {
      const image = world.images.get(imageId);
      const until = Date.now() + timeout * 1000;
      let failure = await settled(image.built);
      let next =
        failure === undefined || includeLogsForFinished ? Number(lastEntryId.split("-")[0] || 0) : image.log.length;
      for (;;) {
        for (; next < image.log.length; next += 1)
          yield { entryId: `${next + 1}-0`, eof: false, taskLogs: [{ data: image.log[next], fileDescriptor: 1 }] };
        if (failure !== undefined || Date.now() >= until) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
        failure = await settled(image.built);
      }
      if (failure !== undefined) yield { entryId: `${next}-1`, result: resultOf(failure), eof: true, taskLogs: [] };
    },

    ImageFromId({ imageId }: { imageId: string }) {
      return { imageId: world.images.find(imageId).id };
    },

    ImageGetByTag({ tag, environmentName }: Published) {
      const imageId = world.published.get(`${environmentName}/${tag}`);
      return imageId === undefined ? refuse("NOT_FOUND", `Image '${tag}' not found`) : { imageId };
    },

    ImagePublish({ imageId, tag, environmentName }: Published & { imageId: string }) {
      world.published.set(`${environmentName}/${tag}`, world.images.get(imageId).id);
      return {};
    },

    async ImageDelete({ imageId }: { imageId: string }) {
      await world.images.remove(imageId);
      return {};
    },
  };
}

/** Why the registry does not give the image of the first instruction; null if it does. */
function whyNotPulled(world: World, { dockerfileCommands, imageRegistryConfig }: NonNullable<Recipe["image"]>) {
  const tag = dockerfileCommands[0]?.replace(/^FROM /, "") ?? "";
  const needs = world.options.pulls?.[tag];
  if (needs === undefined) return null;
  if ("missing" in needs) return `Image pull failed: manifest for ${tag} not found: manifest unknown`;
  const given = world.secrets.get(imageRegistryConfig?.secretId ?? "") ?? {};
  const isRight = imageRegistryConfig?.registryAuthType === AUTH[needs.auth];
  return isRight && needs.keys.every((key) => key in given)
    ? null
    : `Image pull failed: pull access denied for ${tag}: unauthorized: authentication required`;
}

/** What a promise has resolved with; undefined while it has not. */
const settled = <T>(promise: Promise<T>): Promise<T | undefined> =>
  Promise.race([promise, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
