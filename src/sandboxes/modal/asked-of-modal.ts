import { formatGpu } from "../../config/gpu.ts";
import { toVolumeMount } from "../../config/mounts.ts";
import { nameList } from "../../shared/plain-text.ts";
import type { MachineSpec } from "../port.ts";

/** What a machine asks for that Modal may not have, or not for every workspace, in the words of the options. */
export interface Asked {
  /** `"regions" eu, us` */
  readonly place: readonly string[];
  /** What is mounted and may be missing where it comes from: `"buckets" corpus`. */
  readonly mounts: readonly string[];
  /** These and the rest. */
  readonly all: readonly string[];
}

export const NOTHING_ASKED: Asked = { place: [], mounts: [], all: [] };

export function askedOf({ gpu, regions, cloud, runtime, buckets, volumes }: MachineSpec): Asked {
  const names = Object.values(buckets).map(({ bucket }) => bucket);
  const subPaths = Object.entries(volumes).filter(([, volume]) => toVolumeMount(volume).subPath !== null);
  const place = [
    ...(regions.length > 0 ? [`"regions" ${nameList(regions)}`] : []),
    ...(cloud !== null ? [`"cloud" ${nameList([cloud])}`] : []),
  ];
  const mounts = [
    ...(names.length > 0 ? [`"buckets" ${nameList(names)}`] : []),
    ...(subPaths.length > 0 ? [`the "subPath" of "volumes" ${nameList(subPaths.map(([path]) => path))}`] : []),
  ];
  const ofRuntime = runtime !== null ? [`"runtime" ${runtime}`] : [];
  const ofGpu = gpu ? [`the GPU ${formatGpu(gpu)}`] : [];
  return { place, mounts, all: [...ofGpu, ...place, ...ofRuntime, ...mounts] };
}

/** Sentence to add where Modal has no machine free; "" where the environment leaves the place open. */
export const renderPlace = ({ place }: Asked): string =>
  place.length === 0 ? "" : ` The environment asks for ${place.join(" and ")}: elsewhere there may be one.`;

/** Sentence to add where Modal refuses a machine; "" where nothing special is asked for. */
export const renderAsked = ({ all }: Asked): string =>
  all.length === 0 ? "" : ` The environment asks for ${all.join(", ")}: check these.`;

/** Sentence to add where a sandbox has ended at once; "" where no reason for that is asked for. */
export const renderUnmountable = ({ mounts }: Asked): string =>
  mounts.length === 0 ? "" : ` What Modal cannot mount may end a sandbox at once: check ${mounts.join(" and ")}.`;
