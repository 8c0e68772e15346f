import { isAmong } from "./host-addresses.ts";

/*
 * The network of a sandbox's own, between it and slirp4netns. What has an address in it elsewhere, the sandbox cannot reach.
 * Not slirp4netns's usual 10.0.2.0/24, which is also that of virtual machines, and may be some company's.
 */

/** The first is reserved for measurements. The others are for machines that use it. */
const CANDIDATES = ["198.18.244.0/24", "10.244.244.0/24", "172.31.244.0/24", "192.168.244.0/24"] as const;
/** Routes to more addresses than these lead to the internet, if in halves or in all that is not excepted. */
const LEAST_BITS = 8;

/**
 * A network that holds no address of the host, of its routes or of a name server, if there is one.
 * @param fibTrie content of /proc/net/fib_trie
 */
export function chooseOwnNetwork(
  fibTrie: string,
  nameservers: readonly string[],
): { readonly cidr: string; readonly isFree: boolean } {
  const taken = [...routesIn(fibTrie), ...nameservers];
  const free = CANDIDATES.find((candidate) => !taken.some((network) => overlap(candidate, network)));
  return { cidr: free ?? CANDIDATES[0], isFree: free !== undefined };
}

/** All networks that routes in /proc/net/fib_trie lead to: see `localRoutes`. */
function routesIn(fibTrie: string): string[] {
  let address = "";
  return [...fibTrie.matchAll(/\|-- ([\d.]+)|^\s+\/(\d+) /gm)].flatMap(([, next, bits]) => {
    address = next ?? address;
    return next === undefined && Number(bits) >= LEAST_BITS ? [`${address}/${bits}`] : [];
  });
}

const overlap = (one: string, other: string): boolean => isAmong(baseOf(one), [other]) || isAmong(baseOf(other), [one]);
const baseOf = (network: string): string => network.split("/", 1)[0] ?? "";
