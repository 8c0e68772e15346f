import { constants } from "node:fs";
import { access, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../shared/clock.ts";
import type { Log } from "../../../shared/log.ts";
import { within } from "../../../shared/time-limit.ts";
import type { MachineGpu } from "../../machine-gpus.ts";
import { findTool, type HostTool, runHostTool } from "../host-tools.ts";
import { type DriverGpu, parseInformation, parseSmi, SMI_ARGS } from "./driver-text.ts";

/*
 * The only place that asks this machine for its GPUs. D1: without a driver that is two looks into folders of the kernel.
 * D2: a driver that hangs costs time, never a job: every question has a time limit, and nvidia-smi, which is what hangs when
 * a GPU is broken, is asked only for what the driver's files do not tell.
 */

export interface DriverDeps {
  /** Where the machine's files lie; "" except for a stand-in of a machine. */
  readonly root: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FoundGpu extends MachineGpu {
  readonly uuid: string | null;
  readonly bus: string | null;
}

export interface DriverReading {
  readonly gpus: readonly FoundGpu[];
  readonly why: string | null;
}

/** A GPU that sleeps takes a few seconds to say what it is. */
const FILES_MS = 10_000;
const SMI_MS = 10_000;
const MODPROBE_MS = 5_000;
const NAMELESS = "NVIDIA GPU";

export const NO_DRIVER = "no NVIDIA driver is loaded on this machine";

/** Never rejects. */
export async function readDriver(deps: DriverDeps): Promise<DriverReading> {
  const folder = join(deps.root || "/", "proc/driver/nvidia/gpus");
  const [told, nodes] = await Promise.all([namesIn(deps, folder), deviceNumbers(deps)]);
  if (told.length === 0 && nodes.length === 0) return { gpus: [], why: await whyNone(deps) };
  const files = await Promise.all(told.map((name) => readInformation(deps, folder, name)));
  const known = files.filter((gpu) => gpu !== null && !gpu.isExcluded) as DriverGpu[];
  const isComplete = files.length > 0 && files.every((gpu) => gpu !== null && gpu.minor !== null && gpu.name !== null);
  const asked = isComplete ? [] : await askSmi(deps);
  const merged = files.length > 0 ? known.map((gpu) => withAnswer(gpu, asked)) : fromNodes(nodes, asked);
  await makeNodes(deps, merged);
  return usable(deps, merged, told.length);
}

async function readInformation(deps: DriverDeps, folder: string, name: string): Promise<DriverGpu | null> {
  const text = await bounded(deps, FILES_MS, `the GPU at ${name}`, readFile(join(folder, name, "information"), "utf8"));
  if (text === null) return null;
  const gpu = parseInformation(text);
  return { ...gpu, bus: gpu.bus ?? parseInformation(`Bus Location: ${name}`).bus };
}

const withAnswer = (gpu: DriverGpu, asked: readonly DriverGpu[]): DriverGpu => {
  const same = asked.find(({ bus, uuid }) => (bus !== null && bus === gpu.bus) || (uuid !== null && uuid === gpu.uuid));
  return same ? { ...gpu, name: gpu.name ?? same.name, uuid: gpu.uuid ?? same.uuid } : gpu;
};

/** Where the driver has no files of its GPUs, as in gVisor: nvidia-smi lists them in the order of their numbers. */
const fromNodes = (nodes: readonly number[], asked: readonly DriverGpu[]): DriverGpu[] =>
  nodes.map((minor, at) => {
    const answer = asked.length === nodes.length ? asked[at] : undefined; // with other nodes nobody knows which is which
    return { name: null, uuid: null, bus: null, isExcluded: false, ...answer, minor };
  });

/** What its owner has not made usable for this user is of no use to his jobs either. */
async function usable(deps: DriverDeps, gpus: readonly DriverGpu[], told: number): Promise<DriverReading> {
  const problems: string[] = [];
  const found: FoundGpu[] = [];
  for (const { minor, name, uuid, bus } of [...gpus].sort(byBus)) {
    const problem = minor === null ? "the driver does not say which device it is" : await nodeProblem(deps, minor);
    if (problem === null) found.push({ id: String(minor), name: name ?? NAMELESS, uuid, bus });
    else problems.push(`${name ?? NAMELESS}: ${problem}`);
  }
  if (gpus.length < told) problems.push(`${told - gpus.length} of ${told} did not answer or are excluded from use`);
  const none = found.length === 0 && problems.length === 0 ? "the NVIDIA driver has no GPU" : null;
  return { gpus: found, why: problems.length > 0 ? problems.join("; ") : none };
}

const byBus = (a: DriverGpu, b: DriverGpu): number =>
  (a.bus ?? "~").localeCompare(b.bus ?? "~") || (a.minor ?? 0) - (b.minor ?? 0);

/** Why a device node cannot be used; null when it can. */
async function nodeProblem({ root }: DriverDeps, minor: number): Promise<string | null> {
  const path = join(root || "/", "dev", `nvidia${minor}`);
  const node = await stat(path).catch(() => null);
  if (!node) return `/dev/nvidia${minor} does not exist`;
  if (!node.isCharacterDevice()) return `/dev/nvidia${minor} is no device`;
  return access(path, constants.R_OK | constants.W_OK).then(
    () => null,
    () => `you may not open /dev/nvidia${minor} (its group is needed)`,
  );
}

/** The driver makes its nodes when they are first needed, which a program of NVIDIA's does for users. */
async function makeNodes(deps: DriverDeps, gpus: readonly DriverGpu[]): Promise<void> {
  const dev = await namesIn(deps, join(deps.root || "/", "dev"));
  const minors = gpus.flatMap(({ minor }) => (minor === null ? [] : [minor]));
  const isComplete = ["nvidiactl", "nvidia-uvm", ...minors.map((minor) => `nvidia${minor}`)].every((name) =>
    dev.includes(name),
  );
  if (isComplete) return;
  await runBounded(deps, "nvidia-modprobe", ["-u", ...minors.map((minor) => `-c=${minor}`)], MODPROBE_MS);
}

async function askSmi(deps: DriverDeps): Promise<DriverGpu[]> {
  const answer = await runBounded(deps, "nvidia-smi", SMI_ARGS, SMI_MS);
  return answer === null ? [] : parseSmi(answer).sort(byBus);
}

async function runBounded(deps: DriverDeps, name: HostTool, args: readonly string[], limitMs: number) {
  const path = findTool(name, deps.root);
  if (path === null) return null;
  const stop = new AbortController();
  const answer = await bounded(deps, limitMs, name, runHostTool([path, ...args], { signal: stop.signal }));
  stop.abort(); // one that hangs in the driver may not even die
  return answer?.code === 0 ? answer.stdout : null;
}

async function deviceNumbers(deps: DriverDeps): Promise<number[]> {
  const names = await namesIn(deps, join(deps.root || "/", "dev"));
  return names.flatMap((name) => /^nvidia(\d{1,6})$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b); // biome-ignore format: one line
}

async function whyNone(deps: DriverDeps): Promise<string> {
  const dev = await namesIn(deps, join(deps.root || "/", "dev"));
  if (dev.includes("kfd")) return "GPUs of AMD are not supported, only NVIDIA's";
  return dev.includes("dxg") ? "GPUs of Windows (WSL) are not supported" : NO_DRIVER;
}

const namesIn = async (deps: DriverDeps, folder: string): Promise<string[]> =>
  ((await bounded(deps, FILES_MS, folder, readdir(folder))) ?? []).sort();

/** null = it failed, or took too long. */
const bounded = <T>({ clock, log }: DriverDeps, limitMs: number, what: string, call: Promise<T>): Promise<T | null> =>
  within(call, { clock, limitMs, doing: `Asking the NVIDIA driver (${what})` }).catch((error: unknown) => {
    log("debug", "the NVIDIA driver did not answer", { what, reason: String(error) });
    return null;
  });
