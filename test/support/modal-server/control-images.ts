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
  };
}

const SUCCESS = { status: 1, exitcode: 0, exception: "" };

export function imageHandlers(world: World): Handlers {
  const resultOf = (failure: string | null) =>
    failure === null ? SUCCESS : { status: 2, exitcode: 1, exception: failure };
  return {
    /** Answers a new build before it is done, as the real service does; a known image is answered with its result. */
    async ImageGetOrCreate({ appId, image, forceBuild }: Recipe) {
      if (![...world.apps.values()].includes(appId)) return refuse("NOT_FOUND", `App ${appId} not found`);
      if (!image || image.dockerfileCommands.length === 0)
        return refuse("INVALID_ARGUMENT", "An image needs instructions");
      if (image.contextFiles.length > 0) return refuse("INVALID_ARGUMENT", "The test server takes no context files");
      const base = image.baseImages.find((each) => each.dockerTag === "base")?.imageId ?? null;
      const env = world.variablesOf(image.secretIds.map((secretId) => ({ secretId })));
      const built = world.images.build(image.dockerfileCommands, base, env, forceBuild);
      if (built.fresh) return { imageId: built.image.id };
      return { imageId: built.image.id, result: resultOf(await built.image.built) };
    },

    async *ImageJoinStreaming({ imageId }: { imageId: string }) {
      const failure = await world.images.get(imageId).built;
      yield { entryId: "1-0", result: resultOf(failure), eof: true, taskLogs: [] };
    },

    ImageFromId({ imageId }: { imageId: string }) {
      return { imageId: world.images.get(imageId).id };
    },

    async ImageDelete({ imageId }: { imageId: string }) {
      await world.images.remove(imageId);
      return {};
    },
  };
}
