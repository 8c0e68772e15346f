import { type Environment, setupOf } from "../../../config/environment.ts";
import type { ProviderName } from "../../../config/provider-names.ts";
import type { Environments } from "../../environments/environments.ts";
import type { ProjectTrees } from "../../project/trees.ts";
import type { WarmSandbox } from "../../store/warm-rows.ts";

/** Snapshots of the images that jobs start from now, by environment; null = there is none at the moment. */
export type CurrentImages = ReadonlyMap<string, string | null>;

export interface ImagesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly images: Pick<Environments, "list">;
  readonly trees: Pick<ProjectTrees, "store">;
  readonly providerName: ProviderName;
}

/** Of the environments that are kept ready and have a set-up. */
export async function readImages({ environments, images, trees, providerName }: ImagesDeps): Promise<CurrentImages> {
  const isBuilt = (one: Environment | undefined) => one !== undefined && one.warm > 0 && setupOf(one).length > 0;
  if (!Object.values(environments).some(isBuilt)) return new Map();
  const project = await trees.store().catch(() => null); // its jobs say what is wrong with it
  return new Map(
    images
      .list(providerName, project?.root ?? null)
      .filter(({ name }) => isBuilt(environments[name]))
      .map(({ name, record }) => [name, record.image?.snapshotID ?? null]),
  );
}

/** Whether the environment was built anew after the sandbox was made. */
export function isSuperseded({ environment, image, state }: WarmSandbox, images: CurrentImages): boolean {
  const current = images.get(environment);
  return state === "ready" && current != null && current !== image;
}
