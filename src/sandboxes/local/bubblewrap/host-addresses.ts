import { readFile } from "node:fs/promises";

/*
 * The addresses by which this machine reaches itself. They are read from the kernel's routes and not from the list of
 * interfaces, which leaves out interfaces without a carrier (an idle bridge) and further addresses of `lo`. The kernel
 * accepts packets for those too.
 */

/**
 * Networks that no sandbox reaches, whatever addresses the host has: this host, its loopback, the metadata services of
 * clouds (which hand out the host's credentials), multicast and broadcast.
 */
export const NEVER_REACHABLE: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16", // link-local: the metadata of nearly all clouds
  "100.100.100.200/32", // Alibaba's metadata
  "192.0.0.192/32", // Oracle's metadata
  "224.0.0.0/4",
  "255.255.255.255/32",
];

/** Azure's metadata service. It also is the name server of Azure's machines, so UDP stays open. */
export const NO_TCP_TO = "168.63.129.16/32";

/**
 * The host's addresses as networks, such as `192.0.2.2/32`. Not read at once: for a machine with many thousand routes the
 * kernel writes its tables for a tenth of a second.
 * @throws Error where /proc/net/fib_trie cannot be read
 */
export const hostAddresses = async (): Promise<ReadonlySet<string>> => localRoutes(await readRoutes());

/** The host's routes: /proc/net/fib_trie. @throws Error */
export const readRoutes = (): Promise<string> =>
  readFile("/proc/net/fib_trie", "utf8").catch((cause: Error) => {
    throw new Error(`the host's addresses could not be read: ${cause.message}`, { cause });
  });

/**
 * Addresses and networks in /proc/net/fib_trie that lead to the machine itself or to all machines of a network. An entry
 * is a line with an address, followed by one line for each route to it. @source fib_trie_seq_show in Linux 6.x
 */
export function localRoutes(fibTrie: string): ReadonlySet<string> {
  const found = new Set<string>();
  // From the few that are wanted back to their addresses, as there may be many thousand others.
  for (const { 1: bits, index } of fibTrie.matchAll(/\/(\d+) \S+ (?:LOCAL|BROADCAST|ANYCAST|MULTICAST)\b/g)) {
    const at = fibTrie.lastIndexOf("|-- ", index) + 4;
    const address = fibTrie.slice(at, fibTrie.indexOf("\n", at));
    // A route of all addresses to the machine itself belongs to a transparent proxy, for packets that it marked.
    if (bits !== "0" && !address.startsWith("127.")) found.add(`${address}/${bits}`);
  }
  return found;
}

/** Whether an address lies in one of the networks. */
export function isAmong(address: string, networks: Iterable<string>): boolean {
  for (const network of networks) {
    const [base = "", bits = "32"] = network.split("/");
    const size = 2 ** (32 - Number(bits));
    if (Math.floor(toNumber(address) / size) === Math.floor(toNumber(base) / size)) return true;
  }
  return false;
}

const toNumber = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
