import { PluginError } from "../../../shared/error-code.ts";
import type { MachineGpus, MachineReading } from "../../machine-gpus.ts";
import { type LentGpus, lendGpus } from "./driver-files.ts";
import { type DriverDeps, type DriverReading, type FoundGpu, readDriver } from "./read-driver.ts";

export interface LocalGpusDeps extends DriverDeps {
  /** Those that jobs may use: all, none, or by the numbers that nvidia-smi gives them. */
  readonly allowed: "auto" | "none" | readonly number[];
  /** CUDA_VISIBLE_DEVICES of this process: to which GPUs somebody, such as a cluster's scheduler, has limited it. */
  readonly visible: string | undefined;
  /** CUDA_DEVICE_ORDER of this process. */
  readonly order: string | undefined;
}

export interface LocalGpus extends MachineGpus {
  /**
   * What a sandbox needs to use these GPUs, and what the driver calls them.
   * @throws PluginError `no_capacity` when one of them is not there any more
   */
  lend(ids: readonly string[]): Promise<{ readonly lent: LentGpus; readonly names: readonly string[] }>;
}

export function createLocalGpus(deps: LocalGpusDeps): LocalGpus {
  const { allowed, root } = deps;
  let reading: DriverReading | null = null;
  let pending: Promise<DriverReading> | null = null;

  function read(): Promise<DriverReading> {
    if (reading !== null && reading.gpus.length > 0) return Promise.resolve(reading);
    pending ??= look().finally(() => {
      pending = null;
    });
    return pending;
  }

  async function look(): Promise<DriverReading> {
    const found = allowed === "none" ? { gpus: [], why: 'the option "local.gpus" is "none"' } : await readDriver(deps);
    reading = choose(found, deps);
    return reading;
  }

  return {
    known: (): MachineReading | null => reading,
    read,
    async lend(ids) {
      const { gpus } = await read();
      const chosen = gpus.filter(({ id }) => ids.includes(id));
      const lent = lendGpus(root, chosen);
      const missing = ids.filter((id) => !lent.nodes.some(({ at }) => at === `/dev/nvidia${id}`));
      if (missing.length > 0) {
        const names = missing.map((id) => `/dev/nvidia${id}`).join(", ");
        const message = `A GPU of this machine is not there any more: ${names}. See that the NVIDIA driver is loaded (nvidia-smi).`;
        throw new PluginError("no_capacity", message, { retryable: false });
      }
      return { lent, names: chosen.map(({ name }) => name) };
    },
  };
}

/** @param gpus undefined = sandboxes have none here @throws PluginError `no_capacity` */
export function lendFrom(
  gpus: Pick<LocalGpus, "lend"> | undefined,
  devices: readonly string[],
): ReturnType<LocalGpus["lend"]> {
  if (gpus) return gpus.lend(devices);
  throw new PluginError("no_capacity", "Local sandboxes have no GPUs here.", { retryable: false });
}

/** Of the GPUs that were found, those that jobs may use. */
export function choose(
  { gpus, why }: DriverReading,
  { allowed, visible, order }: Pick<LocalGpusDeps, "allowed" | "visible" | "order">,
): DriverReading {
  if (gpus.length === 0 || allowed === "none") return { gpus: [], why };
  const numbers = gpus.length === 1 ? "0" : `0 to ${gpus.length - 1}`;
  if (allowed !== "auto") {
    const chosen = gpus.filter((_, number) => allowed.includes(number));
    const unknown = allowed.filter((number) => gpus[number] === undefined);
    const problem = `the option "local.gpus" names ${unknown.join(", ")}, and this machine has ${numbers}`;
    const none = allowed.length === 0 ? 'the option "local.gpus" names none' : null;
    return { gpus: chosen, why: unknown.length > 0 ? problem : (none ?? why) };
  }
  if (visible === undefined) return { gpus, why };
  const limit = `CUDA_VISIBLE_DEVICES is "${visible.slice(0, 80)}" where OpenCode runs`;
  // Without this order CUDA counts the fastest first, which nothing here knows: another GPU could be the one to be left alone.
  const isUnclear =
    /(^|,)\s*\d/.test(visible) && order !== "PCI_BUS_ID" && new Set(gpus.map(({ name }) => name)).size > 1;
  if (isUnclear)
    return {
      gpus: [],
      why: `${limit}, and CUDA may count GPUs of several kinds otherwise than nvidia-smi: set CUDA_DEVICE_ORDER=PCI_BUS_ID there too, or name them in the option "local.gpus"`,
    };
  const chosen = visibleOf(gpus, visible);
  return { gpus: chosen, why: chosen.length < gpus.length ? limit : why };
}

/** As CUDA reads the variable: numbers or the beginnings of unique ids, up to the first that names no GPU. */
function visibleOf(gpus: readonly FoundGpu[], visible: string): FoundGpu[] {
  const chosen = new Set<FoundGpu>();
  for (const token of visible.split(",").map((part) => part.trim())) {
    const gpu = /^\d+$/.test(token)
      ? gpus[Number(token)]
      : token.length > 4
        ? gpus.find(({ uuid }) => uuid?.toLowerCase().startsWith(token.toLowerCase()))
        : undefined;
    if (!gpu) break;
    chosen.add(gpu);
  }
  return gpus.filter((gpu) => chosen.has(gpu));
}
