import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNetworkTools } from "../../src/sandboxes/local/bubblewrap/network.ts";
import { attackAs, HOST, USERS, type User } from "./attack-users.ts";
import { whyNoIsolation } from "./local-support.ts";

const PYTHON = "/usr/bin/python3";
const tools = findNetworkTools();
const why =
  (await whyNoIsolation()) ??
  (typeof tools === "string" ? tools : null) ??
  (spawnSync(PYTHON, ["-c", ""]).status === 0 ? null : `${PYTHON} is not installed`) ??
  (spawnSync("sh", ["-c", "exec 3<>/dev/net/tun"]).status === 0 ? null : "/dev/net/tun cannot be opened");
const IS_ROOT = process.geteuid?.() === 0;
const GROUPS = ["224.0.0.251", "239.255.255.250"];

/**
 * A machine with a network namespace of its own: addresses of an interface without a carrier and of `lo`, an address that
 * is added when something is written to the pipe `come`, a network with an outside server, and only one of the helpers.
 */
const MACHINE = `
hidden=$1 come=$2; shift 2
# On many machines everybody may open it.
mount -t tmpfs -o mode=755 none /dev/net; mknod -m 666 /dev/net/tun c 10 200
[ "$hidden" = none ] || mount --bind /dev/null "$hidden"
ip link set lo up; ip addr add 198.51.100.7/32 dev lo; ip route add local 198.51.100.64/28 dev lo
ip link add idle type bridge; ip addr add 172.31.77.1/24 brd + dev idle; ip link set idle up
unshare -n sh -c "echo; exec sleep 100 >&-" > "$come" & outside=$!
read -r _ < "$come"
ip link add out type veth peer name in netns $outside
ip addr add 10.77.0.1/24 brd + dev out; ip link set out up
nsenter -t $outside -n sh -c "ip addr add 10.77.0.2/24 dev in; ip link set in up"
ip route add default via 10.77.0.2
nsenter -t $outside -n ${PYTHON} -m http.server 8000 >/dev/null 2>&1 & server=$!
{ read -r _ < "$come"; ip addr add 198.51.100.99/32 dev lo; echo > "$come.done"; } & later=$!
trap 'kill $outside $server $later 2>/dev/null' EXIT
"$@"`;
const ADDRESSES = {
  loopback: ["127.0.0.1", "127.0.0.53"],
  own: IS_ROOT ? ["10.77.0.1", "172.31.77.1", "198.51.100.7", "198.51.100.70"] : ownAddresses(),
  groups: GROUPS,
  everyone: ["255.255.255.255", ...(IS_ROOT ? ["10.77.0.255", "172.31.77.255"] : [])],
};

/** Sends to each address in every way that a socket can choose its route, and prints what the host answered. */
const probe = (addresses: readonly string[]) => `${PYTHON} - <<'END'
import os, socket, struct
U, S = socket.SOCK_DGRAM, socket.SOCK_STREAM
devices = [(i, d) for i, d in socket.if_nameindex() if d != "lo"]
index, device = devices[0]
s = socket.socket(socket.AF_INET, U); s.connect(("203.0.113.1", 9)); source = s.getsockname()[0]
ways = {
  "plainly": lambda s: None,
  "from its address": lambda s: s.bind((source, 0)),
  "by device": lambda s: s.setsockopt(1, 25, device.encode() + b"\\0"),
  "by device and address": lambda s: (s.setsockopt(1, 25, device.encode() + b"\\0"), s.bind((source, 0))),
  "by device number": lambda s: s.setsockopt(1, 62, struct.pack("i", index)),
  "by the device for groups": lambda s: s.setsockopt(0, 32, socket.inet_aton(source)),
  "by the device for one": lambda s: s.setsockopt(0, 50, struct.pack("!I", index)),
  "past routes": lambda s: s.setsockopt(1, 5, 1),
}
for address in ${JSON.stringify(addresses)}:
  for way, choose in ways.items():
    for family, host in ((socket.AF_INET, address), (socket.AF_INET6, "::ffff:" + address)):
      word = f"{address} {way} {int(family)}".encode()
      s = socket.socket(family, U); s.setsockopt(1, 6, 1)
      try: choose(s); s.sendto(word, (host, $UDP))
      except OSError: pass
      s.close()
      s = socket.socket(family, S); s.settimeout(0.5)
      try:
        choose(s); s.connect((host, $TCP)); s.send(word)
        if s.recv(9) == b"canary": print("REACHED", word)
      except OSError: pass
      s.close()
  s = socket.socket(socket.AF_INET, U); s.setsockopt(1, 6, 1)
  aux = struct.pack("@I4s4s", index, socket.inet_aton(source), bytes(4))
  try: s.sendmsg([f"{address} by the message".encode()], [(0, 8, aux)], 0, (address, $UDP))
  except OSError: pass
for own in ("127.0.0.1", source):
  s = socket.socket(); s.bind((own, 0)); s.listen()
  c = socket.create_connection(s.getsockname()); c.send(b"x")
s = socket.socket(socket.AF_INET6); s.bind(("::1", 0)); s.listen()
c = socket.create_connection(s.getsockname()[:2]); c.send(b"x")
print("own loopback", device)
END`;
/** The host reaches itself at each address, so an address that the sandbox cannot reach is blocked by its isolation. */
const control = (addresses: readonly string[]) => `${PYTHON} - <<'END'
import socket
for address in ${JSON.stringify(addresses)}:
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(1, 6, 1)
  s.sendto(f"host {address}".encode(), (address, $UDP))
END`;

describe.skipIf(why !== null)(`a job on an open network${why ? ` (skipped: ${why})` : ""}`, () => {
  for (const helper of typeof tools === "string" ? [] : tools.helpers) {
    const others = typeof tools === "string" ? [] : tools.helpers.filter(({ name }) => name !== helper.name);
    // The helper can be chosen where the other one's program can be hidden.
    if (!IS_ROOT && helper !== (typeof tools === "string" ? null : tools.helpers[0])) continue;
    const machine = (come: string) =>
      IS_ROOT ? ["unshare", "-n", "-m", "sh", "-c", MACHINE, "machine", others[0]?.path ?? "none", come] : [];
    for (const user of USERS)
      test.skipIf(user.why !== null)(
        `of ${user.name}'s through ${helper.name} reaches the host at no address and in no way${user.why ? ` (skipped: ${user.why})` : ""}`,
        () => reachesNothing(user, machine),
      );
  }
});

async function reachesNothing(user: User, machine: (come: string) => readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "opa-test-"));
  chmodSync(folder, 0o755);
  const come = join(folder, "come");
  spawnSync("mkfifo", ["-m", "666", come, `${come}.done`]);
  try {
    const all = Object.values(ADDRESSES).flat();
    const heard = ADDRESSES.groups.concat(ADDRESSES.loopback, ADDRESSES.own);
    // Metadata services of clouds, blocked in the sandbox itself. The last one is a name server too, reachable only as that.
    const metadata = `${PYTHON} -c "import socket as s; print([s.socket(s.AF_INET, kind).connect_ex((address, 53)) in (1, 113) for kind in (s.SOCK_STREAM, s.SOCK_DGRAM) for address in ('169.254.169.254', '100.100.100.200', '192.0.0.192', '168.63.129.16')])"`;
    const outside = `${PYTHON} -c "import urllib.request as u; print(u.urlopen('http://10.77.0.2:8000').status)"`;
    const { said, received } = await attackAs(
      user,
      {
        sandboxes: 1,
        network: "open",
        groups: GROUPS,
        withoutTicks: true,
        steps: [
          [0, probe(all)],
          [0, IS_ROOT ? outside : "echo 200"],
          [0, metadata],
          // A later address is blocked as soon as the kernel reports it; until then it belongs to an outside machine.
          [HOST, IS_ROOT ? `echo > ${come}; read -r _ < ${come}.done` : "true"],
          [0, IS_ROOT ? `until ${unreachable("198.51.100.99")}; do :; done; echo shut` : "echo shut"],
          [0, IS_ROOT ? probe(["198.51.100.99"]) : "true"],
          [HOST, control(heard)],
        ],
      },
      { before: machine(come) },
    );
    expect(said[0]?.notes.filter((note) => note.startsWith("No network"))).toEqual([]);
    expect(said[0]?.stderr).toBe("");
    expect(said[0]?.stdout).toMatch(/^own loopback \w+\n$/);
    expect(said[1]?.stdout).toBe("200\n");
    expect(said[2]?.stdout).toBe("[True, True, True, True, True, True, True, False]\n");
    expect(said[4]?.stdout).toBe("shut\n");
    if (IS_ROOT) expect(said[5]?.stdout).toMatch(/^own loopback \w+\n$/);
    expect([...received].sort()).toEqual(heard.map((address) => `host ${address}`).sort());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A command that succeeds once the sandbox's own kernel refuses the address. */
const unreachable = (address: string) =>
  `${PYTHON} -c "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sys.exit(0 if s.connect_ex(('${address}', 9)) in (1, 101, 113) else 1)"`;

function ownAddresses(): string[] {
  if (typeof tools === "string") return [];
  const { stdout } = spawnSync(tools.ip, ["-4", "-o", "addr", "show", "scope", "global"], { encoding: "utf8" });
  return [...stdout.matchAll(/inet ([\d.]+)/g)].map((match) => match[1] as string);
}
