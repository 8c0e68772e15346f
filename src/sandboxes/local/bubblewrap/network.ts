import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";
import { findTool, HOST_ENV, runHostTool } from "../host-tools.ts";
import { hostAddresses, NEVER_REACHABLE, NO_TCP_TO } from "./host-addresses.ts";
import { launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";

/*
 * A network for a sandbox through a user-mode helper, with the host out of reach. W1: before any command runs, every
 * address of the host is unreachable inside, or there is no network at all. The helper connects as the user, so an
 * address it can reach is an address the job can reach: what is not listed here is not protected. W2: no address is
 * shut by a route alone: a socket bound to a device, or sending to a group, is routed past routes.
 */

export interface Network {
  /**
   * Shuts addresses off that the host has got since; done by itself as soon as the kernel tells of one. Rejects when it
   * could not, now or before: the network is gone then.
   */
  resync(): Promise<void>;
  stop(): void;
}

const READY_ATTEMPTS = 250;

export interface NetworkHelper {
  readonly name: "slirp4netns" | "pasta";
  readonly path: string;
}

export interface NetworkTools {
  readonly ip: string;
  /** In the order they are tried. */
  readonly helpers: readonly NetworkHelper[];
}

/** What a network can be made with here, or the sentence that tells a job why it has none. */
export function findNetworkTools(): NetworkTools | string {
  const helpers = (["slirp4netns", "pasta"] as const).flatMap((name): NetworkHelper[] => {
    const path = findTool(name);
    return path === null ? [] : [{ name, path }];
  });
  if (helpers.length === 0) return "No network: neither slirp4netns nor pasta is installed.";
  const ip = findTool("ip");
  if (ip === null)
    return "No network: `ip` (iproute2) is not installed, and without it the host could not be shut off.";
  return { ip, helpers };
}

/** The first that comes up; each is tried after the one before has failed and is gone. @throws Error with all reasons */
export async function firstToComeUp<T, U>(candidates: readonly T[], start: (candidate: T) => Promise<U>): Promise<U> {
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

/** @throws Error with a reason; nothing of the network is left then */
export async function openNetwork(namespaces: Namespaces, nsenter: string, clock: Clock): Promise<Network> {
  const tools = findNetworkTools();
  if (typeof tools === "string") throw new Error(tools);
  // As root of the outer user namespace, which owns the network; with the host's own `ip`.
  const enter = [nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user", "net"]), "--", tools.ip];
  const shut = new Set<string>();
  const shutAll = async (networks: Iterable<string>, lines: readonly string[] = []) => {
    const fresh = [...networks].filter((network) => !shut.has(network));
    const input = [...fresh.flatMap(linesToShut), ...lines].map((line) => `${line}\n`).join("");
    if (input === "") return;
    const { code, stderr } = await runHostTool([...enter, "-batch", "-"], { input });
    if (code !== 0) throw new Error(`the host could not be shut off: ${stderr}`);
    for (const network of fresh) shut.add(network);
  };
  let stop = () => {};
  let last = Promise.resolve();
  const resync = () => {
    // One after another, so that what one has shut the next leaves. After one has failed there is no network.
    last = last
      .then(() => shutAll(hostAddresses()))
      .catch((error) => {
        stop(); // W1
        throw error;
      });
    return last;
  };
  // Before the helper starts: there is no moment at which the host can be reached.
  await shutAll([...NEVER_REACHABLE, ...hostAddresses()], [blocked(`${NO_TCP_TO} proto tcp`), ...version6()]);
  stop = await firstToComeUp(tools.helpers, async ({ name, path }) => {
    // What fails here is told by the next resync, which comes with the next tick.
    const onChange = () => void resync().catch(() => {});
    const helper = startGuarded([path, ...helperArgs(name, namespaces)], tools.ip, namespaces, onChange);
    for (let attempt = 0; ; attempt += 1) {
      const { stdout } = await runHostTool([...enter, "-o", "route", "show", "default"]);
      if (stdout.trim() !== "") return helper.stop;
      if (helper.failed() || attempt === READY_ATTEMPTS) break;
      await sleep(clock, 20);
    }
    helper.stop();
    await helper.gone; // with its interface, which the next one would be taken to have made
    throw new Error(`${name} did not come up${helper.said() && ` (${helper.said()})`}`);
  });
  // What came while the helper did, before anyone listened.
  await resync();
  return { resync, stop };
}

/** Commands of `ip`: the policy that blocks (W2), and the route by which programs are told so at once. */
const linesToShut = (network: string): string[] => [
  blocked(network),
  ...(network.startsWith("127.") || network.startsWith("0.") ? [] : [`route replace unreachable ${network}`]),
];

/** Of the kernel's IPsec policies: asked for every packet that leaves by a device, whoever chose the device. */
const blocked = (selector: string): string => `xfrm policy update dst ${selector} dir out action block`;

/** The helpers speak IPv4 only: nothing but the sandbox's own loopback is to be reached by IPv6. */
const version6 = (): string[] =>
  existsSync("/proc/net/if_inet6") ? [`${blocked("::/0")} priority 1`, "xfrm policy update dst ::1/128 dir out"] : [];

function helperArgs(name: NetworkHelper["name"], namespaces: Namespaces): string[] {
  if (name === "slirp4netns") {
    return [
      "--configure", "--mtu=65520", "--disable-host-loopback",
      // Its resolver forwards all ports, not 53 alone, to the host's resolver: see reachableNameservers.
      "--disable-dns",
      `--userns-path=${namespaces.path("user")}`, "--netns-type=path", namespaces.path("net"), "tap0",
    ]; // biome-ignore format: one line a purpose
  }
  return [
    "--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw", "--no-dhcp", "--no-ra",
    "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
    // As root it would become "nobody", who may not join the namespaces.
    ...(process.geteuid?.() === 0 ? ["--runas", "0:0"] : []),
    // Its own descriptors: once it has joined the first, it may not look into another process for the second.
    "--userns", "/proc/self/fd/8", "--netns", "/proc/self/fd/9",
  ]; // biome-ignore format: one line a purpose
}

// Kills the helper when the host process closes its end of stdin, by intent or by being killed: helpers change
// their credentials, which takes a parent-death signal back. Gives it the namespaces at 8 and 9. Beside it `ip` tells of
// every change of the host's addresses and routes.
const GUARD = `
exec 3<&0 8<"$1" 9<"$2"; ip=$3; shift 3
"$ip" -4 monitor address route 3<&- 8<&- 9<&- </dev/null 2>/dev/null & m=$!
"$@" 3<&- </dev/null >/dev/null & p=$!
{ read -r _ <&3; kill -9 $p $m; } >/dev/null & r=$!
exec 3<&-; wait $p; kill -9 $r $m`;

function startGuarded(argv: readonly string[], ip: string, namespaces: Namespaces, onChange: () => void) {
  const opened = namespaces.hold();
  const held = [namespaces.path("user"), namespaces.path("net")];
  const { file, args } = launcherArgs(2, [], ["/bin/sh", "-c", GUARD, "guard", ...held, ip, ...argv]);
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
      opened();
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
