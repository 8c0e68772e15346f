import { spawn } from "node:child_process";
import { networkInterfaces } from "node:os";
import type { Clock } from "../../../shared/clock.ts";
import { sleep } from "../../../shared/clock.ts";
import { findTool, HOST_ENV, runHostTool } from "../host-tools.ts";
import { launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";

/*
 * A network for a sandbox through a user-mode helper, with the host out of reach. W1: before any command runs, every
 * address of the host is unreachable inside, or there is no network at all. The helper connects as the user, so an
 * address it can reach is an address the job can reach: what is not listed here is not protected.
 */

export interface Network {
  /** Shuts addresses off that the host has got since. Rejects when it could not; the network must go then. */
  resync(): Promise<void>;
  stop(): void;
}

// Link-local holds the metadata services of clouds, which hand the host's credentials to whoever asks.
const NEVER_REACHABLE = ["169.254.0.0/16"];
const READY_ATTEMPTS = 250;

export function hostAddresses(): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return new Set(all.filter((each) => each.family === "IPv4" && !each.internal).map((each) => each.address));
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
  const inside = (...argv: string[]) =>
    // As root of the outer user namespace, which owns the network; with the host's own `ip`.
    runHostTool([nsenter, "--preserve-credentials", ...namespaces.enterArgs(["user", "net"]), "--", tools.ip, ...argv]);
  const must = async (...argv: string[]) => {
    const { code, stderr } = await inside(...argv);
    if (code !== 0) throw new Error(`\`ip ${argv.join(" ")}\` failed: ${stderr}`);
  };
  const shut = new Set<string>();
  const resync = async () => {
    for (const address of [...NEVER_REACHABLE, ...hostAddresses()]) {
      if (shut.has(address)) continue;
      await must("route", "replace", "unreachable", address.includes("/") ? address : `${address}/32`);
      shut.add(address);
    }
  };
  // Before the helper starts: there is no moment at which the host can be reached.
  await resync();
  const stop = await firstToComeUp(tools.helpers, async ({ name, path }) => {
    const helper = startGuarded([path, ...helperArgs(name, namespaces)], namespaces);
    for (let attempt = 0; ; attempt += 1) {
      if ((await inside("-o", "route", "show", "default")).stdout.trim() !== "") return helper.stop;
      if (helper.failed() || attempt === READY_ATTEMPTS) break;
      await sleep(clock, 20);
    }
    helper.stop();
    await helper.gone; // with its interface, which the next one would be taken to have made
    throw new Error(`${name} did not come up${helper.said() && ` (${helper.said()})`}`);
  });
  return { resync, stop };
}

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
// their credentials, which takes a parent-death signal back. Gives it the namespaces at 8 and 9.
const GUARD =
  'exec 3<&0 8<"$1" 9<"$2"; shift 2; "$@" 3<&- </dev/null & p=$!; { read -r _ <&3; kill -9 $p; } & r=$!; exec 3<&-; wait $p; kill -9 $r';

function startGuarded(argv: readonly string[], namespaces: Namespaces) {
  const opened = namespaces.hold();
  const held = [namespaces.path("user"), namespaces.path("net")];
  const { file, args } = launcherArgs(2, [], ["/bin/sh", "-c", GUARD, "guard", ...held, ...argv]);
  const child = spawn(file, args, {
    env: { ...HOST_ENV },
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
  });
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
      child.stderr?.destroy();
    },
  };
}
