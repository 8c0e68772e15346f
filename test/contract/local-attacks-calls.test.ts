import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createIsolatedTrees } from "../../src/sandboxes/local/bubblewrap/isolated-trees.ts";
import { findTool } from "../../src/sandboxes/local/host-tools.ts";
import { attackAs, USERS } from "./attack-users.ts";
import { whyNoIsolation } from "./local-support.ts";

const python = spawnSync("/usr/bin/python3", ["-c", "import ctypes, json"]).status === 0;
const why = (await whyNoIsolation()) ?? (python ? null : "/usr/bin/python3 is not installed");
const CANARY = `canary-${crypto.randomUUID()}`;
const ARM = process.arch === "arm64";
const KEYS = ARM ? { add: 217, request: 218, control: 219 } : { add: 248, request: 249, control: 250 };

/** A command that runs a Python program in which `call(number, ...)` returns a system call's result, or `-errno`. */
const py = (program: string) => `/usr/bin/python3 -c '
import ctypes, json, os
c = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
  r = c.syscall(ctypes.c_long(number), *[w if isinstance(w, bytes) else ctypes.c_long(w) for w in words])
  return r if r != -1 else -ctypes.get_errno()
${program}'`;

const PR_SET_SECCOMP = 22;
/** A Python program that runs its arguments with a filter that forbids loading filters: by seccomp(2), or by this prctl option. */
const refusing = (option: number) => `
import ctypes, os, struct, sys
c = ctypes.CDLL(None, use_errno=True)
step = lambda code, true, false, operand: struct.pack("<HBBI", code, true, false, operand & 0xffffffff)
no, yes = step(6, 0, 0, 0x50001), step(6, 0, 0, 0x7fff0000)
program = ctypes.create_string_buffer(b"".join([
  step(0x20, 0, 0, 0), step(0x15, 0, 1, ${ARM ? 277 : 317}), no,
  step(0x15, 0, 3, ${ARM ? 167 : 157}), step(0x20, 0, 0, 16), step(0x15, 0, 1, ${option}), no, yes,
]))
c.prctl(38, 1, 0, 0, 0)
assert c.prctl(22, 2, struct.pack("<HxxxxxxQ", 8, ctypes.addressof(program)), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])`;

const EPERM = -1;
const ENOSYS = -38;

/** Plants keys in the session's and the user's keyrings before the host process starts, as a login does. */
const PLANT = `
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
name, control, add = b"${CANARY}", ${KEYS.control}, ${KEYS.add}
assert c.syscall(control, 1, None) > 0
for ring in (-3, -4): assert c.syscall(add, b"user", name, name, len(name), ring) > 0
os.execvp(sys.argv[1], sys.argv[1:])`;
const ASK_KEYS = py(`
b = ctypes.create_string_buffer(200)
found = {}
for ring in (-1, -2, -3, -4, -5):
  key = call(${KEYS.control}, 10, ring, b"user", b"${CANARY}", 0)
  found["find in %d" % ring] = key
  if key > 0:
    c.syscall(${KEYS.control}, 11, key, b, 200); found["said"] = b.value.decode()
  found["plant in %d" % ring] = call(${KEYS.add}, b"user", b"planted", b"x", 1, ring)
  found["clear %d" % ring] = call(${KEYS.control}, 7, ring)
found["request"] = call(${KEYS.request}, b"user", b"${CANARY}", 0, 0)
found["join"] = call(${KEYS.control}, 1, 0)
print(json.dumps(found))`);
const FIND_PLANTED = py(
  `print(json.dumps({str(ring): call(${KEYS.control}, 10, ring, b"user", b"planted", 0) for ring in (-3, -4, -5)}))`,
);

/** Calls that this kernel answers differently without the filter. The unit tests cover all refused calls. */
const CALLS = py(`
def attach():
  child = os.fork()
  if child == 0:
    import time; time.sleep(20); os._exit(0)
  attached = [call(${ARM ? 117 : 101}, request, child, 0, 0) for request in (16, 0x4206)]
  os.kill(child, 9); os.waitpid(child, 0)
  return attached
def trace_me():
  child = os.fork()
  if child == 0: os._exit(0 if call(${ARM ? 117 : 101}, 0, 0, 0, 0) == 0 else 1)
  return os.waitpid(child, 0)[1]
def foreign():
  import mmap, platform
  if platform.machine() != "x86_64": return None
  code = mmap.mmap(-1, 4096, prot=7)
  code.write(bytes.fromhex("53b814000000cd805bc3")) # getpid of the i386
  said, say = os.pipe()
  if os.fork() == 0:
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os.write(say, str(result).encode())
    os._exit(0)
  os.close(say)
  # A kernel that knows no such calls ends the program.
  return int(os.read(said, 20) or ${ENOSYS}) if os.wait()[1] in (0, 11, 139) else None
b = ctypes.create_string_buffer(64); at = ctypes.addressof(b)
v = (ctypes.c_ulong * 2)(at, 8); w = ctypes.addressof(v)
print(json.dumps({
  "attach": attach(), "trace me": trace_me(),
  "process_vm_readv": call(${ARM ? 270 : 310}, os.getpid(), w, 1, w, 1, 0),
  "kcmp": call(${ARM ? 272 : 312}, os.getpid(), os.getpid(), 0, 0, 0),
  "pidfd_getfd": call(438, -1, 0, 0), "io_uring_setup": call(425, 1, 0), "userfaultfd": call(${ARM ? 282 : 323}, 1),
  "perf_event_open": call(${ARM ? 241 : 298}, 0, 0, -1, -1, 0), "adjtimex": call(${ARM ? 171 : 159}, 0),
  "clone3": call(435, 0, 0), "unshare": call(${ARM ? 97 : 272}, 0x10000000),
  "unshare of nothing": call(${ARM ? 97 : 272}, 0x200), "clone": call(${ARM ? 220 : 56}, 0x50000011, 0, 0, 0, 0),
  "setns": call(${ARM ? 268 : 308}, -1, 0), "statmount": call(457, 0, 0, 0, 0), "listmount": call(458, 0, 0, 0, 0),
  "open_tree": call(428, -100, b"/", 0), "fsopen": call(430, b"tmpfs", 0),
  "vsock": call(${ARM ? 198 : 41}, 40, 1, 0), "alg": call(${ARM ? 198 : 41}, 38, 5, 0),
  "packet": call(${ARM ? 198 : 41}, 17, 3, 0), "upper bits": call(${ARM ? 198 : 41}, 0x700000028, 1, 0),
  "netlink xfrm": call(${ARM ? 198 : 41}, 16, 3, 6), "sctp": call(${ARM ? 198 : 41}, 2, 5, 0),
  "personality": call(${ARM ? 92 : 135}, 0x400000), "which personality": call(${ARM ? 92 : 135}, 0xffffffff),
  "tiocsti": call(${ARM ? 29 : 16}, 0, 0x5412, at), "tiocsti with upper bits": call(${ARM ? 29 : 16}, 0, 0x100005412, at),
  "x32": call(0x40000000 + 39), "later": call(600), "foreign": foreign(),
}))`);

const EXPECTED = {
  attach: [EPERM, EPERM],
  "trace me": 0,
  process_vm_readv: EPERM,
  kcmp: EPERM,
  pidfd_getfd: EPERM,
  io_uring_setup: EPERM,
  userfaultfd: EPERM,
  perf_event_open: EPERM,
  adjtimex: EPERM,
  clone3: ENOSYS,
  unshare: EPERM,
  "unshare of nothing": 0,
  clone: EPERM,
  setns: EPERM,
  statmount: ENOSYS,
  listmount: ENOSYS,
  open_tree: EPERM,
  fsopen: EPERM,
  vsock: -97,
  alg: -97,
  packet: -97,
  "upper bits": -97,
  "netlink xfrm": -93,
  sctp: -93,
  personality: EPERM,
  "which personality": 0,
  tiocsti: EPERM,
  "tiocsti with upper bits": EPERM,
  x32: ENOSYS,
  later: ENOSYS,
  foreign: ARM ? null : ENOSYS,
};

/** What jobs commonly do. Each program prints its own name when it works. */
const WORK: Readonly<Record<string, string>> = {
  threads: "import threading; t = threading.Thread(target=print, args=('threads',)); t.start(); t.join()",
  processes: "import multiprocessing as m; m.Process(target=print, args=('processes',)).start()",
  subprocess: "import subprocess; subprocess.run(['echo', 'subprocess'])",
  sockets: "import asyncio, socket; s = socket.create_server(('127.0.0.1', 0)); print('sockets')",
  names: "import socket; socket.getaddrinfo('localhost', 80); socket.if_nameindex(); print('names')",
};

describe.skipIf(why !== null)(`a job's system calls${why ? ` (skipped: ${why})` : ""}`, () => {
  for (const user of USERS) {
    test.skipIf(user.why !== null)(
      `in ${user.name}'s sandboxes reach no keyring, no other process and no rarely used part of the kernel${user.why ? ` (skipped: ${user.why})` : ""}`,
      async () => {
        const first = "cat /proc/1/status /proc/self/status | grep ^Seccomp:";
        const work = Object.values(WORK).map((program) => `/usr/bin/python3 -c "${program}"`);
        const { said } = await attackAs(
          user,
          {
            sandboxes: 2,
            network: "blocked",
            steps: [
              [0, ASK_KEYS],
              [1, FIND_PLANTED],
              [0, CALLS],
              [0, first],
              // The entry program cannot join a namespace from inside, and so starts nothing.
              [0, "/run/.enter /bin/echo started; echo $?; echo x > /run/.enter || rm -f /run/.enter; ls /run/.enter"],
              [
                1,
                `${work.join("; ")}; script -qec "echo terminal" /dev/null; sh -c "exit 0" && git init -q x && echo git`,
              ],
            ],
          },
          { around: ["/usr/bin/python3", "-c", PLANT] },
        );
        const [keys, planted, calls, status, entered, worked] = said;
        const asked = JSON.parse(keys?.stdout || keys?.stderr || "");
        expect(Object.entries(asked).filter(([, result]) => result !== EPERM)).toEqual([]);
        expect(JSON.parse(planted?.stdout ?? "")).toEqual({ "-3": EPERM, "-4": EPERM, "-5": EPERM });
        expect(JSON.parse(calls?.stdout || calls?.stderr || "")).toEqual(EXPECTED);
        expect(status?.stdout).toBe("Seccomp:\t2\nSeccomp:\t2\n");
        expect(entered?.stdout).toBe("125\n/run/.enter\n");
        expect(worked?.stdout.replaceAll("\r", "").trim().split("\n")).toEqual([
          ...Object.keys(WORK),
          "terminal",
          "git",
        ]);
      },
    );
  }

  for (const user of USERS) {
    test.skipIf(user.why !== null)(
      `in ${user.name}'s sandboxes nothing is read from the files in which the kernel tells of itself and of the user's keys${user.why ? ` (skipped: ${user.why})` : ""}`,
      async () => {
        const files = "kcore keys key-users kmsg timer_list sched_debug kpagecount kpageflags vmallocinfo slabinfo";
        const read = `for f in ${files}; do timeout 2 head -c 8 /proc/$f 2>/dev/null | grep -qa . && echo $f; done; echo all`;
        const { said } = await attackAs(user, { sandboxes: 1, network: "blocked", steps: [[0, read]] });
        expect(said[0]?.stdout).toBe("all\n");
      },
    );
  }

  describe("when the filter cannot be loaded", () => {
    const user = USERS[0] as (typeof USERS)[number];
    const attack = { sandboxes: 1, network: "blocked", steps: [[0, "echo ran"]] } as const;
    const around = (option: number) => ["/usr/bin/python3", "-c", refusing(option)];

    test("no sandbox is created, and the error says what is needed", async () => {
      const made = attackAs(user, attack, { around: around(PR_SET_SECCOMP) });
      await expect(made).rejects.toThrow(/No sandbox can be isolated.*CONFIG_SECCOMP_FILTER/s);
    });

    test("no command is started in a sandbox that was created", async () => {
      await expect(attackAs(user, attack, { around: around(-1) })).rejects.toThrow(
        "it could not be confined (its devices, its limits, its system calls)",
      );
    });

    test("no file is copied, measured or removed", async () => {
      const trees = createIsolatedTrees(findTool("bwrap") ?? "", new Uint8Array(3), () => []);
      await expect(trees.measure(["/usr/lib"])).rejects.toThrow(/seccomp/i);
    });
  });
});
