import { expect, test } from "bun:test";
import { chooseOwnNetwork } from "../../../../src/sandboxes/local/bubblewrap/own-network.ts";

/** As the kernel shows it, with routes to these networks. */
const fibTrie = (...networks: readonly string[]) =>
  `Main:
  +-- 198.18.244.0/24 3 0 5
${networks.map((network) => `     |-- ${network.split("/")[0]}\n        /${network.split("/")[1]} universe UNICAST\n`).join("")}`;
const FIRST = "198.18.244.0/24";

for (const [name, routes, nameservers, cidr] of [
  ["the first", ["10.0.2.0/24", "10.0.2.15/32"], ["10.0.2.3"], FIRST],
  ["the first, whatever leads to the internet", ["0.0.0.0/0", "128.0.0.0/1", "192.0.0.0/3"], [], FIRST],
  ["another where the host has an address in it", ["198.18.244.7/32"], [], "10.244.244.0/24"],
  ["another where a wider route leads to it", ["198.18.0.0/15", "10.0.0.0/8"], [], "172.31.244.0/24"],
  ["another where a name server is in it", ["10.244.244.9/32"], ["198.18.244.3"], "172.31.244.0/24"],
] as const)
  test(`a sandbox's own network is ${name}`, () => {
    expect(chooseOwnNetwork(fibTrie(...routes), nameservers)).toEqual({ cidr, isFree: true });
  });

test("a sandbox's own network is one that is not free where none is", () => {
  const all = fibTrie("198.18.0.0/15", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16");
  expect(chooseOwnNetwork(all, [])).toEqual({ cidr: FIRST, isFree: false });
});
