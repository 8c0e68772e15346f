import { existsSync } from "node:fs";
import { findTool, runHostTool } from "../host-tools.ts";
import { hostAddresses, NEVER_REACHABLE, NO_TCP_TO } from "./host-addresses.ts";
import { onHostChange } from "./host-changes.ts";
import type { Namespaces } from "./namespaces.ts";
import { type Helper, type SetUp, SetUpError, type SetUpResult, setUp } from "./set-up.ts";

/*
 * A network for a sandbox through a user-mode helper, which cannot reach the host. W1: before any command runs, every
 * address of the host is unreachable inside, or there is no network at all. The helper connects as the user, so the job
 * can reach every address that the helper can reach: an address that is not listed here is not protected. W2: no address
 * is blocked by a route alone, because sockets bound to a device or sending to a group bypass routes.
 */

export interface Network {
  /**
   * Blocks those of the host's addresses that it has got since the last call; also runs by itself as soon as the kernel
   * reports a change. Rejects when blocking has failed, now or before, or no helper was left; the network is stopped then.
   */
  resync(addresses: () => ReadonlySet<string>): Promise<void>;
  stop(): void;
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

/** Helpers of one sandbox that are replaced by another when they end by themselves. */
const MOST_REPLACED = 5;

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
): Promise<{ network: Network | null; notes: string[] }> {
  if (typeof tools === "string") return { network: null, notes: [...(await setUpAlone(plan)), tools] };
  try {
    const { network, unlimited } = await openNetwork(plan, tools);
    return { network, notes: unlimitedNotes(unlimited) };
  } catch (error) {
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
): Promise<{ readonly network: Network; readonly unlimited: string | null }> {
  const { namespaces, nsenter } = plan;
  const blocked = new Set([...NEVER_REACHABLE, ...hostAddresses()]);
  // Runs the host's own `ip` as root of the outer user namespace, which owns the network.
  const enter = [nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user", "net"]), "--", tools.ip];
  const block = async (networks: Iterable<string>) => {
    const fresh = [...networks].filter((network) => !blocked.has(network));
    if (fresh.length === 0) return;
    const { code, stderr } = await runHostTool([...enter, "-batch", "-"], {
      input: toBatch(fresh.flatMap(blockingLines)),
    });
    if (code !== 0) throw new Error(`the host's addresses could not be blocked: ${stderr}`);
    for (const network of fresh) blocked.add(network);
  };
  let stopHelper = () => {};
  let isStopped = false;
  let helpersEnded = 0;
  let lost: Error | null = null;
  // A failure here is reported by the next resync, about a second later.
  const ignoreChanges = onHostChange(tools.ip, () => void resync(hostAddresses).catch(() => {}));
  const stop = () => {
    isStopped = true;
    ignoreChanges();
    stopHelper();
  };
  let last = Promise.resolve();
  const resync = (addresses: () => ReadonlySet<string>) => {
    // One after another, so that no address is blocked twice. After a failure there is no network.
    last = last
      .then(() => {
        if (lost) throw lost;
        return block(addresses());
      })
      .catch((error) => {
        stop(); // W1
        throw error;
      });
    return last;
  };
  // Before the helper starts, so that the host cannot be reached at any moment.
  const lines = [...[...blocked].flatMap(blockingLines), blockPolicy(`${NO_TCP_TO} proto tcp`), ...ipv6Lines()];
  const start = async ({ name, path }: NetworkHelper) =>
    setUp(plan, { ip: tools.ip, rules: toBatch(lines), helper: helperOf(name, path, namespaces) }).catch(
      (error: Error) => {
        if (error instanceof SetUpError) throw error;
        throw new Error(`${name} did not come up${error.message && ` (${error.message})`}`);
      },
    );
  const startHelper = async (): Promise<SetUpResult> => {
    const started = await startFirstWorking(tools.helpers, start, (error) => error instanceof SetUpError);
    stopHelper = started.stop;
    if (isStopped) started.stop();
    void started.gone.then(replaceHelper);
    return started;
  };
  // One that ends by itself, as when the kernel kills it for want of memory, would take the network with it.
  const replaceHelper = async () => {
    if (isStopped) return;
    helpersEnded += 1;
    if (helpersEnded > MOST_REPLACED) lost = new Error(`its helper ended ${helpersEnded} times`);
    else
      await startHelper().catch((error: Error) => {
        lost = error;
      });
  };
  try {
    const started = await startHelper();
    // For addresses that came while the helper started, and whose blocking failed then.
    await resync(hostAddresses);
    return { network: { resync, stop }, unlimited: started.unlimited };
  } catch (error) {
    stop();
    throw error;
  }
}

const toBatch = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

/** Commands of `ip`: the policy that blocks (W2), and a route that makes programs fail at once. */
const blockingLines = (network: string): string[] => [
  blockPolicy(network),
  ...(network.startsWith("127.") || network.startsWith("0.") ? [] : [`route replace unreachable ${network}`]),
];

/** An IPsec policy, which the kernel applies to every packet that leaves by a device, whichever way the device was chosen. */
const blockPolicy = (selector: string): string => `xfrm policy update dst ${selector} dir out action block`;

/** Blocks IPv6 except to the sandbox's own loopback, because the helpers speak IPv4 only. */
const ipv6Lines = (): string[] =>
  existsSync("/proc/net/if_inet6")
    ? [`${blockPolicy("::/0")} priority 1`, "xfrm policy update dst ::1/128 dir out"]
    : [];

function helperOf(name: NetworkHelper["name"], path: string, namespaces: Namespaces): Helper {
  if (name === "slirp4netns") {
    const argv = [
      path, "--configure", "--mtu=65520", "--disable-host-loopback", "--ready-fd=5", "--exit-fd=0",
      // Its resolver forwards all ports, not 53 alone, to the host's resolver: see reachableNameservers.
      "--disable-dns",
      `--userns-path=${namespaces.path("user")}`, "--netns-type=path", namespaces.path("net"), "tap0",
    ]; // biome-ignore format: one line per purpose
    return { argv, isSelfGuarding: true };
  }
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
