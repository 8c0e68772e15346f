import { existsSync } from "node:fs";
import { NO_TCP_TO } from "./host-addresses.ts";

/*
 * What the kernel is told of a sandbox's network, as lines for `ip -batch`. W2: no address is blocked by a route alone, because
 * sockets bound to a device or sending to a group bypass routes.
 */

export const toBatch = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

/** Before there is a helper. @param blocked networks that the sandbox must not reach */
export const firstLines = (blocked: Iterable<string>): string[] => [
  ...blockingLines(blocked),
  blockPolicy(`${NO_TCP_TO} proto tcp`),
  ...ipv6Lines(),
];

/** The policy that blocks each network (W2), and a route that makes programs fail at once. */
export const blockingLines = (networks: Iterable<string>): string[] =>
  [...networks].flatMap((network) => [
    blockPolicy(network),
    ...(network.startsWith("127.") || network.startsWith("0.") ? [] : [`route replace unreachable ${network}`]),
  ]);

/** An IPsec policy, which the kernel applies to every packet that leaves by a device, whichever way the device was chosen. */
const blockPolicy = (selector: string): string => `xfrm policy update dst ${selector} dir out action block`;

/** Blocks IPv6 except to the sandbox's own loopback, because the helpers speak IPv4 only. */
const ipv6Lines = (): string[] =>
  existsSync("/proc/net/if_inet6")
    ? [`${blockPolicy("::/0")} priority 1`, "xfrm policy update dst ::1/128 dir out"]
    : [];
