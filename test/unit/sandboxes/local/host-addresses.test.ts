import { expect, test } from "bun:test";
import { isAmong, localRoutes, NEVER_REACHABLE } from "../../../../src/sandboxes/local/bubblewrap/host-addresses.ts";

const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 172.17.0.0/16 2 0 2
        +-- 172.17.0.0/30 2 0 2
           |-- 172.17.0.0
              /16 link UNICAST
           |-- 172.17.0.1
              /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
     |-- 198.51.100.0
        /24 universe UNREACHABLE
        /28 host LOCAL
Id 100:
     |-- 0.0.0.0
        /0 host LOCAL
     |-- 203.0.113.9
        /32 host ANYCAST
Local:
           |-- 172.17.0.1
              /32 host LOCAL
`;

test("finds routes to the machine itself and to everyone in all tables, whatever the state of their interface", () => {
  expect([...localRoutes(FIB_TRIE)].sort()).toEqual([
    "172.17.0.1/32",
    "172.17.255.255/32",
    "198.51.100.0/28",
    "203.0.113.9/32",
  ]);
  expect([...localRoutes("")]).toEqual([]);
});

test("an address belongs to a network if their leading bits match", () => {
  expect(
    [
      ["172.17.0.1", "172.17.0.1/32"],
      ["172.17.0.2", "172.17.0.1/32"],
      ["172.17.0.2", "172.17.0.0/16"],
      ["172.18.0.2", "172.17.0.0/16"],
      ["10.1.2.3", "0.0.0.0/0"],
      ["127.0.0.53", "127.0.0.0/8"],
      ["128.0.0.0", "127.0.0.0/8"],
      ["255.255.255.255", "255.255.255.255/32"],
    ].map(([address, network]) => isAmong(address as string, [network as string])),
  ).toEqual([true, false, true, false, true, true, false, true]);
  for (const address of ["0.0.0.0", "127.0.0.1", "169.254.169.254", "224.0.0.1", "239.1.1.1", "255.255.255.255"])
    expect(isAmong(address, NEVER_REACHABLE)).toBe(true);
  for (const address of ["1.1.1.1", "10.0.0.1", "168.63.129.16", "192.168.1.1"])
    expect(isAmong(address, NEVER_REACHABLE)).toBe(false);
});
