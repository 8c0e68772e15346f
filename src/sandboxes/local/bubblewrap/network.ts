import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";
import { findTool, HOST_ENV, runHostTool } from "../host-tools.ts";
import { hostAddresses, NEVER_REACHABLE, NO_TCP_TO } from "./host-addresses.ts";
import { launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";

/*
 * A network for a sandbox through a user-mode helper, which cannot reach the host. W1: before any command runs, every
 * address of the host is unreachable inside, or there is no network at all. The helper connects as the user, so the job
 * can reach every address that the helper can reach: an address that is not listed here is not protected. W2: no address
 * is blocked by a route alone, because sockets bound to a device or sending to a group bypass routes.
 */

export interface Network {
  /**
   * Blocks addresses that the host has got since the last call; also runs by itself as soon as the kernel reports a change.
   * Rejects when blocking has failed, now or before; the network is stopped then.
   */
  resync(): Promise<void>;
  stop(): void;
}

const READY_ATTEMPTS = 250;
const READY_POLL_MS = 20;

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

/** Starts the candidates in order until one works; each has ended before the next is tried. @throws Error with all reasons */
export async function startFirstWorking<T, U>(
  candidates: readonly T[],
  start: (candidate: T) => Promise<U>,
): Promise<U> {
  const reasons: string[] = [];
  for (const candidate of candidates) {
    try {
      return await start(candidate);
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  throw new Error(reasons.join("; "));
}

/** @throws Error with the reason, after removing everything of the network */
export async function openNetwork(namespaces: Namespaces, nsenter: string, clock: Clock): Promise<Network> {
  const tools = findNetworkTools();
  if (typeof tools === "string") throw new Error(tools);
  // Runs the host's own `ip` as root of the outer user namespace, which owns the network.
  const enter = [nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user", "net"]), "--", tools.ip];
  const blocked = new Set<string>();
  const block = async (networks: Iterable<string>, lines: readonly string[] = []) => {
    const fresh = [...networks].filter((network) => !blocked.has(network));
    const input = [...fresh.flatMap(blockingLines), ...lines].map((line) => `${line}\n`).join("");
    if (input === "") return;
    const { code, stderr } = await runHostTool([...enter, "-batch", "-"], { input });
    if (code !== 0) throw new Error(`the host's addresses could not be blocked: ${stderr}`);
    for (const network of fresh) blocked.add(network);
  };
  let stop = () => {};
  let last = Promise.resolve();
  const resync = () => {
    // One after another, so that no address is blocked twice. After a failure there is no network.
    last = last
      .then(() => block(hostAddresses()))
      .catch((error) => {
        stop(); // W1
        throw error;
      });
    return last;
  };
  // Before the helper starts, so that the host cannot be reached at any moment.
  await block([...NEVER_REACHABLE, ...hostAddresses()], [blockPolicy(`${NO_TCP_TO} proto tcp`), ...ipv6Lines()]);
  stop = await startFirstWorking(tools.helpers, async ({ name, path }) => {
    // A failure here is reported by the next resync, about a second later.
    const onChange = () => void resync().catch(() => {});
    const helper = startGuarded([path, ...helperArgs(name, namespaces)], tools.ip, namespaces, onChange);
    for (let attempt = 0; ; attempt += 1) {
      const { stdout } = await runHostTool([...enter, "-o", "route", "show", "default"]);
      if (stdout.trim() !== "") return helper.stop;
      if (helper.failed() || attempt === READY_ATTEMPTS) break;
      await sleep(clock, READY_POLL_MS);
    }
    helper.stop();
    await helper.gone; // and its interface with it, which would be mistaken for the next helper's
    throw new Error(`${name} did not come up${helper.said() && ` (${helper.said()})`}`);
  });
  // For addresses that came while the helper started, before anyone listened for changes.
  await resync();
  return { resync, stop };
}

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

function helperArgs(name: NetworkHelper["name"], namespaces: Namespaces): string[] {
  if (name === "slirp4netns") {
    return [
      "--configure", "--mtu=65520", "--disable-host-loopback",
      // Its resolver forwards all ports, not 53 alone, to the host's resolver: see reachableNameservers.
      "--disable-dns",
      `--userns-path=${namespaces.path("user")}`, "--netns-type=path", namespaces.path("net"), "tap0",
    ]; // biome-ignore format: one line per purpose
  }
  return [
    "--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw", "--no-dhcp", "--no-ra",
    "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
    // Started as root, pasta would become "nobody", who may not join the namespaces.
    ...(process.geteuid?.() === 0 ? ["--runas", "0:0"] : []),
    // Through its own descriptors: once it has joined the first namespace, it may not read another process's for the second.
    "--userns", "/proc/self/fd/8", "--netns", "/proc/self/fd/9",
  ]; // biome-ignore format: one line per purpose
}

// Kills the helper when the host process closes its end of stdin, on purpose or by dying. A parent-death signal would not
// do, because helpers change their credentials, which cancels it. The helper gets the namespaces at descriptors 8 and 9.
// Beside the helper, `ip` reports every change of the host's addresses and routes.
const GUARD = `
exec 3<&0 8<"$1" 9<"$2"; ip=$3; shift 3
"$ip" -4 monitor address route 3<&- 8<&- 9<&- </dev/null 2>/dev/null & m=$!
"$@" 3<&- </dev/null >/dev/null & p=$!
{ read -r _ <&3; kill -9 $p $m; } >/dev/null & r=$!
exec 3<&-; wait $p; kill -9 $r $m`;

function startGuarded(argv: readonly string[], ip: string, namespaces: Namespaces, onChange: () => void) {
  const release = namespaces.hold();
  const paths = [namespaces.path("user"), namespaces.path("net")];
  const { file, args } = launcherArgs(2, [], ["/bin/sh", "-c", GUARD, "guard", ...paths, ip, ...argv]);
  const child = spawn(file, args, {
    env: { ...HOST_ENV },
    cwd: "/",
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdout?.on("data", onChange);
  let said = "";
  let failed = false;
  child.stderr?.on("data", (bytes) => {
    if (said.length < 2000) said += String(bytes);
  });
  const gone = new Promise<void>((resolve) => {
    const over = () => {
      failed = true;
      release();
      resolve();
    };
    child.once("error", over);
    child.once("exit", over);
  });
  child.stdin?.on("error", () => {});
  return {
    failed: () => failed,
    gone,
    said: () => said.trim().replaceAll(/\s+/g, " ").slice(-300),
    stop: () => {
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
  };
}
