import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNetworkTools } from "../../src/sandboxes/local/bubblewrap/network.ts";
import { attackAs, HOST, USERS } from "./attack-users.ts";
import { whyNoIsolation } from "./local-support.ts";

const PYTHON = "/usr/bin/python3";
const tools = findNetworkTools();
const why =
  (await whyNoIsolation()) ??
  (typeof tools === "string" ? tools : null) ??
  (spawnSync(PYTHON, ["-c", ""]).status === 0 ? null : `${PYTHON} is not installed`) ??
  (spawnSync("sh", ["-c", "exec 3<>/dev/net/tun"]).status === 0 ? null : "/dev/net/tun cannot be opened") ??
  (process.geteuid?.() === 0 ? null : "only root can make the machine");

/** A machine whose only network is this one, in which another machine at address 77 has a web server. */
const MACHINE = `
net=$1 come=$2; shift 2
ip link set lo up
unshare -n sh -c "echo; exec sleep 100 >&-" > "$come" & outside=$!
read -r _ < "$come"
ip link add out type veth peer name in netns $outside
ip addr add $net.15/24 brd + dev out; ip link set out up
nsenter -t $outside -n sh -c "ip addr add $net.77/24 dev in; ip link set in up"
ip route add default via $net.77
nsenter -t $outside -n ${PYTHON} -m http.server 8000 >/dev/null 2>&1 & server=$!
trap 'kill $outside $server 2>/dev/null' EXIT
"$@"`;

describe.skipIf(why !== null)(`a sandbox on a machine${why ? ` (skipped: ${why})` : ""}`, () => {
  for (const [net, whose] of [
    ["10.0.2", "virtual machines have"],
    ["198.18.244", "a sandbox has elsewhere"],
  ])
    test(`whose local network is the one that ${whose} reaches the other machines there`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "opa-test-"));
      const come = join(folder, "come");
      spawnSync("mkfifo", [come]);
      const fetch = `${PYTHON} -c "import urllib.request as u; print(u.urlopen('http://${net}.77:8000', timeout=20).status)"`;
      const attack = { sandboxes: 1, network: "open", steps: [[0, fetch]] } as const;
      try {
        const before = ["unshare", "-n", "sh", "-c", MACHINE, "machine", net as string, come];
        const { said } = await attackAs(USERS[0] as (typeof USERS)[0], attack, { before });
        expect([said[0]?.stdout, said[0]?.notes.filter((note) => note.includes("network"))]).toEqual(["200\n", []]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

  test("that moves to another network asks the name servers there", async () => {
    const folder = mkdtempSync(join(tmpdir(), "opa-test-"));
    const file = join(folder, "resolv.conf");
    writeFileSync(file, "nameserver 192.0.2.53\nsearch home.example\n");
    const mount = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)"; shift; exec "$@"';
    const before = ["unshare", "-m", "sh", "-c", mount, "machine", file];
    const change = `printf 'nameserver 203.0.113.53\\nsearch work.example\\n' > ${file}`;
    const look = "for i in $(seq 100); do grep -q 203 /etc/resolv.conf && break; sleep 0.2; done; cat /etc/resolv.conf";
    const steps = [
      [0, "cat /etc/resolv.conf; echo x 2>&- > /etc/resolv.conf || echo kept"],
      [HOST, change],
      [0, look],
    ];
    try {
      const attack = { sandboxes: 1, network: "open", steps: steps as [number, string][] } as const;
      const { said } = await attackAs(USERS[0] as (typeof USERS)[0], attack, { before });
      expect([said[0]?.stdout, said[2]?.stdout]).toEqual([
        "nameserver 192.0.2.53\nsearch home.example\nkept\n",
        "nameserver 203.0.113.53\nsearch work.example\n",
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
