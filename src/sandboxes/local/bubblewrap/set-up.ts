import { spawn } from "node:child_process";
import { withAnonymousFiles } from "../anonymous-file.ts";
import { HOST_ENV } from "../host-tools.ts";
import { launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";

/*
 * What is done to a new sandbox from outside before any command runs in it: one program on the host does all of it, as each
 * program that OpenCode starts costs it about a millisecond. Where there is a network, the program stays as its guard.
 */

export interface SetUp {
  readonly namespaces: Namespaces;
  readonly nsenter: string;
  /** Makes the mounts of the host's devices read-only. */
  readonly locksDevices: boolean;
  /** Names in /dev of the nodes of GPUs, which are locked too; absent = none. */
  readonly gpuDevices?: readonly string[];
  /** Limits of the sandbox's user namespace: pairs of a file's name and its content. */
  readonly userLimits: readonly string[];
}

/** The network of a sandbox, as a helper provides it. */
export interface NetworkSetUp {
  /** Absolute path of the host's `ip`. */
  readonly ip: string;
  /** Lines for `ip -batch`, obeyed before the helper starts. */
  readonly rules: string;
  readonly helper: readonly string[];
  /** Called when the kernel has reported a change of the host's addresses or routes, once the network is up. */
  readonly onChange: () => void;
}

/** The sandbox has not been set up, for a reason that no other helper can help with. */
export class SetUpError extends Error {}

export interface SetUpResult {
  /** Why the limits do not apply; null = they do. */
  readonly unlimited: string | null;
  /** Ends the network. */
  readonly stop: () => void;
}

/**
 * Devices: they can still be written to, but a job whose user owns them, as happens when the host process is root, cannot
 * change their modes. bwrap itself could only make them unusable. One Perl remounts all of them in the time that one `mount`
 * takes for one; where there is no Perl, or it fails, `mount` does it.
 */
const LOCK_DEVICES = `
set -- null zero full random urandom tty $GPU_DEVICES
/usr/bin/perl -e "$LOCK_AT_ONCE" "$@" 2>/dev/null && exit
for d in "$@"; do /usr/bin/mount -o remount,bind,ro,nosuid,noexec "/dev/$d" || exit 1; done`;
/** Numbers of mount(2). @source asm/unistd_64.h; asm-generic/unistd.h */
const MOUNT_CALL: Readonly<Partial<Record<NodeJS.Architecture, number>>> = { x64: 165, arm64: 40 };
/** MS_REMOUNT, MS_BIND, MS_RDONLY, MS_NOSUID, MS_NOEXEC. @source linux/mount.h */
const READ_ONLY = 32 | 4096 | 1 | 2 | 8;
const LOCK_AT_ONCE = `
for (@ARGV) { my $path = "/dev/$_"; exit 1 if syscall(${MOUNT_CALL[process.arch] ?? -1}, 0, $path, 0, ${READ_ONLY}, 0) != 0 }`;
/**
 * Limits the sandbox's user, and then obeys the rules for its network. The host's own /proc works here: these files show and
 * set the limits of the process that opens them, which is in the namespace by then.
 */
const LIMIT = `
ip=$1; shift
limit() { while [ $# -gt 0 ]; do echo "$2" > "/proc/sys/user/$1" || return; shift 2; done; }
said=$(limit "$@" 2>&1) || echo "@unlimited \${said%%
*}"
[ -z "$ip" ] || exec "$ip" -batch - <&3`;
const DEVICES_FAILED = 41;
const LIMIT_FAILED = 42;

// Kills the helper when the host process closes its end of stdin, on purpose or by dying. A parent-death signal would not
// do, because helpers change their credentials, which cancels it. The helper gets the namespaces at descriptors 8 and 9.
// Beside the helper, \`ip\` reports every change of the host's addresses and routes. The devices are locked meanwhile. The
// network is up once the namespace has a default route, for which it waits five seconds at most.
const SCRIPT = `
nsenter=$1 all=$2 user=$3 net=$4 routes=$5 lock=$6 limits=$7 ip=$8; shift 8
exec 4<&0 </dev/null
enter() { "$nsenter" --preserve-credentials "$@" 4<&-; }
locked= code=0
if [ "$lock" = yes ]; then enter $all -- /bin/sh -c "$LOCK_DEVICES" >&2 3<&- & locked=$!; fi
devices() { [ -z "$locked" ] || wait "$locked"; }
enter --user="$user" --net="$net" -- /bin/sh -c "$LIMIT" limit "$ip" $limits || ip= code=${LIMIT_FAILED}
[ -n "$ip" ] || { devices || exit ${DEVICES_FAILED}; exit $code; }
exec 3<&- 8<"$user" 9<"$net"
"$ip" -4 monitor address route 4<&- 8<&- 9<&- 2>/dev/null & m=$!
"$@" 4<&- >/dev/null & p=$!
{ read -r _ <&4; kill -9 $p $m; } >/dev/null 8<&- 9<&- & r=$!
exec 8<&- 9<&-
isUp() { while read -r _ to _ _ _ _ _ mask _; do [ "$to$mask" != 0000000000000000 ] || return 0; done < "$routes"; return 1; }
n=0
until isUp 2>/dev/null; do
  [ "$n" -lt 250 ] && kill -0 $p 2>/dev/null && [ -e "$routes" ] || { code=1; break; }
  n=$((n + 1)); sleep 0.02 2>/dev/null || sleep 1
done
devices || code=${DEVICES_FAILED}
[ "$code" = 0 ] || kill -9 $p
[ "$code" != 0 ] || echo @up
exec 4<&-; wait $p; kill -9 $r $m
exit $code`;

const VARIABLES = { LOCK_DEVICES, LOCK_AT_ONCE, LIMIT };

/**
 * Does everything, with this helper for the network; null = it has none. May be called again, with another helper.
 * @throws SetUpError; any other Error when the helper did not provide a network, and has ended
 */
export function setUp(
  { namespaces, nsenter, locksDevices, gpuDevices = [], userLimits }: SetUp,
  network: NetworkSetUp | null,
): Promise<SetUpResult> {
  const release = namespaces.hold();
  const argv = [
    "/bin/sh", "-c", SCRIPT, "guard", nsenter, namespaces.enterArgs().join(" "), namespaces.path("user"), namespaces.path("net"),
    namespaces.processFile("net/route"), locksDevices ? "yes" : "no", userLimits.join(" "), network?.ip ?? "", ...(network?.helper ?? []),
  ]; // biome-ignore format: one line
  const { file, args } = launcherArgs(3, [], argv);
  const child = withAnonymousFiles(network ? [Buffer.from(network.rules)] : [], (fds) =>
    spawn(file, args, {
      env: { ...HOST_ENV, ...VARIABLES, GPU_DEVICES: gpuDevices.join(" ") },
      cwd: "/",
      detached: true,
      stdio: [network ? "pipe" : "ignore", "pipe", "pipe", ...fds],
    }),
  );
  child.stdin?.on("error", () => {});
  let said = "";
  child.stderr?.on("data", (bytes) => {
    if (said.length < 2_000) said += String(bytes);
  });
  const stop = () => {
    child.stdin?.destroy();
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  return new Promise((resolve, reject) => {
    let isUp = false;
    let output = "";
    const failed = network ? "the host's addresses could not be blocked" : "its namespaces could not be entered";
    const result = (): SetUpResult => ({ unlimited: /^@unlimited (.*)$/m.exec(output)?.[1] ?? null, stop });
    child.stdout?.on("data", (bytes) => {
      if (isUp) return network?.onChange();
      if (output.length < 65_536) output += String(bytes);
      isUp = /^@up$/m.test(output);
      if (isUp) resolve(result());
    });
    child.once("error", (error) => {
      release();
      reject(new SetUpError(error.message));
    });
    child.once("exit", release);
    child.once("close", (code) => {
      const why = said.trim().replaceAll(/\s+/g, " ").slice(-300);
      if (code === 0 && !network) resolve(result());
      else if (code === LIMIT_FAILED) reject(new SetUpError(`${failed}: ${why}`));
      else if (code === 1) reject(new Error(why));
      else if (code === DEVICES_FAILED) reject(new SetUpError(`the devices could not be made read-only: ${why}`));
      else reject(new SetUpError(`its set-up ended with ${code ?? "a signal"}: ${why}`));
    });
  });
}
