import { findTool, runHostTool } from "../host-tools.ts";
import { shortageOf } from "../shortage.ts";
import { hostAddresses, NEVER_REACHABLE, readRoutes } from "./host-addresses.ts";
import { onHostChange } from "./host-changes.ts";
import { KeptNetwork, type LookUp } from "./kept-network.ts";
import type { Namespaces } from "./namespaces.ts";
import { blockingLines, firstLines, toBatch } from "./network-rules.ts";
import { chooseOwnNetwork } from "./own-network.ts";
import { reachableResolver } from "./root-filesystem.ts";
import { type Helper, type SetUp, SetUpError, type SetUpResult, setUp } from "./set-up.ts";

/*
 * A network for a sandbox through a user-mode helper, which cannot reach the host. W1: before any command runs, every
 * address of the host is unreachable inside, or there is no network at all. The helper connects as the user, so the job
 * can reach every address that the helper can reach: an address that is not blocked is not protected.
 */

export interface Network {
  /** To be called about once a second. Never rejects. */
  resync(addresses: LookUp): Promise<void>;
  /** How often it was lost so far. */
  losses(): number;
  /** Why there is none now; null = there is one. */
  lost(): string | null;
  stop(): void;
}

/** Told of what becomes of a network later. */
export interface NetworkNews {
  readonly onLost: (why: string) => void;
  readonly onBack: () => void;
}

export interface NetworkHelper {
  readonly name: "slirp4netns" | "pasta";
  readonly path: string;
}

export interface NetworkTools {
  readonly ip: string;
  /** In the order they are tried. */
  readonly helpers: readonly NetworkHelper[];
}

/** The tools to make a network with, or a note for the job on why it has none. */
export function findNetworkTools(): NetworkTools | string {
  const helpers = (["slirp4netns", "pasta"] as const).flatMap((name): NetworkHelper[] => {
    const path = findTool(name);
    return path === null ? [] : [{ name, path }];
  });
  if (helpers.length === 0) return "No network: neither slirp4netns nor pasta is installed.";
  const ip = findTool("ip");
  if (ip === null)
    return "No network: `ip` (iproute2) is not installed, and without it the host's addresses cannot be blocked.";
  return { ip, helpers };
}

/**
 * Starts the candidates in order until one works; each has ended before the next is tried.
 * @param isFinal whether no other candidate can help either
 * @throws Error with all reasons
 */
export async function startFirstWorking<T, U>(
  candidates: readonly T[],
  start: (candidate: T) => Promise<U>,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<U> {
  const reasons: string[] = [];
  for (const candidate of candidates) {
    try {
      return await start(candidate);
    } catch (error) {
      if (isFinal(error)) throw error;
      reasons.push((error as Error).message);
    }
  }
  throw new Error(reasons.join("; "));
}

/**
 * Sets a sandbox up with a network, and without one where none can be had.
 * @throws SetUpError
 */
export async function setUpWithNetwork(
  plan: SetUp,
  tools: NetworkTools | string,
  news: NetworkNews,
): Promise<{ network: Network | null; notes: string[] }> {
  if (typeof tools === "string") return { network: null, notes: [...(await setUpAlone(plan)), tools] };
  try {
    const { network, notes } = await openNetwork(plan, tools, news);
    return { network, notes };
  } catch (error) {
    if (shortageOf((error as Error).message) !== null) throw error; // it may have one in a moment
    return { network: null, notes: [...(await setUpAlone(plan)), `No network: ${(error as Error).message}.`] };
  }
}

/** Sets a sandbox up without a network. @returns notes for the job @throws SetUpError */
export const setUpAlone = async (plan: SetUp): Promise<string[]> => unlimitedNotes((await setUp(plan, null)).unlimited);

const unlimitedNotes = (why: string | null): string[] =>
  why === null ? [] : [`The number of files it may watch is not limited: ${why}.`];

/** @throws Error with the reason, after removing everything of the network */
async function openNetwork(
  plan: SetUp,
  tools: NetworkTools,
  news: NetworkNews,
): Promise<{ readonly network: Network; readonly notes: string[] }> {
  const { namespaces, nsenter, clock } = plan;
  const blocked = new Set([...NEVER_REACHABLE, ...(await hostAddresses())]);
  // Runs the host's own `ip` as root of the outer user namespace, which owns the network.
  const enter = [nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user", "net"]), "--", tools.ip];
  const block = async (networks: Iterable<string>) => {
    const fresh = [...networks].filter((network) => !blocked.has(network));
    if (fresh.length === 0) return;
    const { code, stderr } = await runHostTool([...enter, "-batch", "-"], { input: toBatch(blockingLines(fresh)) });
    if (code !== 0) throw new Error(`the host's addresses could not be blocked: ${stderr}`);
    for (const network of fresh) blocked.add(network);
  };
  const rules = toBatch(firstLines(blocked)); // before a helper starts, so that the host cannot be reached at any moment (W1)
  const notes: string[] = [];
  const start = async ({ name, path }: NetworkHelper) => {
    const own = chooseOwnNetwork(await readRoutes(), reachableResolver(NEVER_REACHABLE).nameservers);
    const helper = name === "slirp4netns" ? slirp(path, namespaces, own.cidr) : pasta(path);
    const started = await setUp(plan, { ip: tools.ip, rules, helper }).catch((error: Error) => {
      if (error instanceof SetUpError) throw error;
      throw new Error(`${name} did not come up${error.message && ` (${error.message})`}`);
    });
    if (name === "slirp4netns" && !own.isFree)
      notes.push(`Addresses in ${own.cidr} of your network cannot be reached.`);
    return started;
  };
  const startHelper = (): Promise<SetUpResult> =>
    startFirstWorking(tools.helpers, start, (error) => error instanceof SetUpError);
  const kept = new KeptNetwork({ block, startHelper, lookUp: hostAddresses, clock, ...news });
  const ignoreChanges = onHostChange(tools.ip, clock, (addresses) => void kept.resync(addresses));
  const stop = () => {
    ignoreChanges();
    kept.stop();
  };
  try {
    const { unlimited } = await kept.open();
    return {
      network: { resync: (addresses) => kept.resync(addresses), losses: kept.losses, lost: kept.lost, stop },
      notes: [...unlimitedNotes(unlimited), ...notes],
    };
  } catch (error) {
    stop();
    throw error;
  }
}

function slirp(path: string, namespaces: Namespaces, cidr: string): Helper {
  const argv = [
    path, "--configure", "--mtu=65520", `--cidr=${cidr}`, "--disable-host-loopback", "--ready-fd=5", "--exit-fd=0",
    // Its resolver forwards all ports, not 53 alone, to the host's resolver: see reachableResolver.
    "--disable-dns",
    `--userns-path=${namespaces.path("user")}`, "--netns-type=path", namespaces.path("net"), "tap0",
  ]; // biome-ignore format: one line per purpose
  return { argv, isSelfGuarding: true };
}

/** Its sandbox has the host's own addresses, and needs no network of its own. */
function pasta(path: string): Helper {
  const argv = [
    path, "--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw", "--no-dhcp", "--no-ra",
    "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
    // Started as root, pasta would become "nobody", who may not join the namespaces.
    ...(process.geteuid?.() === 0 ? ["--runas", "0:0"] : []),
    // Through its own descriptors: once it has joined the first namespace, it may not read another process's for the second.
    "--userns", "/proc/self/fd/8", "--netns", "/proc/self/fd/9",
  ]; // biome-ignore format: one line per purpose
  return { argv, isSelfGuarding: false };
}
