import type { ChildProcess } from "node:child_process";
import type { Clock } from "../../../shared/clock.ts";
import { startProgram } from "../../../shared/start-program.ts";
import { withAnonymousFiles } from "../anonymous-file.ts";
import { HOST_ENV } from "../host-tools.ts";
import { LAUNCHER_FAILED, launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";
import { CALL_FAILED } from "./programs/call-program.ts";

/*
 * What is done to a new sandbox from outside before any command runs in it: one program on the host does all of it, as each
 * program that OpenCode starts costs it about a millisecond. Where there is a network, the program becomes its helper, or
 * stays as the guard of one.
 */

export interface SetUp {
  readonly namespaces: Namespaces;
  readonly nsenter: string;
  /** Limits of the sandbox's user namespace: pairs of a file's name and its content. */
  readonly userLimits: readonly string[];
  /** Absolute path of the program that sets them, and becomes the program of its command line; null = a shell does that. */
  readonly limiter: string | null;
  readonly clock: Clock;
}

/** The network of a sandbox, as a helper provides it. */
export interface NetworkSetUp {
  /** Absolute path of the host's `ip`. */
  readonly ip: string;
  /** Lines for `ip -batch`, obeyed before the helper starts. */
  readonly rules: string;
  readonly helper: Helper;
}

/** A program that provides the network. */
export interface Helper {
  /** It can open the namespaces at descriptors 8 (user) and 9 (network). */
  readonly argv: readonly string[];
  /**
   * It writes a 1 to descriptor 5 once the network is up, and ends when nobody has the other end of its standard input any
   * more. A helper that cannot is waited for and guarded.
   */
  readonly isSelfGuarding: boolean;
}

/** The sandbox has not been set up, for a reason that no other helper can help with. */
export class SetUpError extends Error {}

export interface SetUpResult {
  /** Why the limits do not apply; null = they do. */
  readonly unlimited: string | null;
  /** Ends the network. */
  readonly stop: () => void;
  /** Resolves when the network's helper has ended, by itself too. */
  readonly gone: Promise<void>;
}

/**
 * Limits the sandbox's user, and then obeys the rules for its network; says why where it cannot limit. The host's own /proc
 * works here: these files show and set the limits of the process that opens them, which is in the namespace by then.
 */
const LIMIT = `
ip=$1; shift
limit() { while [ $# -gt 0 ]; do echo "$2" > "/proc/sys/user/$1" || return; shift 2; done; }
limit "$@" 2>/dev/null || said=$(limit "$@" 2>&1) || echo "@unlimited \${said%%
*}"
[ -z "$ip" ] || exec "$ip" -batch - <&3`;
const SET_UP_FAILED = 42;
/** The limiter has started nothing. */
const LIMITER_FAILED = 43;

// The helper finds the namespaces at descriptors 8 and 9, and takes the place of this shell where it guards itself.
const SCRIPT = `
nsenter=$1 user=$2 net=$3 routes=$4 limits=$5 limiter=$6 ip=$7; shift 7
inside() { "$nsenter" --preserve-credentials --user="$user" --net="$net" -- "$@"; }
if [ -z "$limiter" ]; then inside /bin/sh -c "$LIMIT" limit "$ip" $limits </dev/null
elif [ -z "$ip" ]; then inside "$limiter" /bin/true </dev/null
else inside "$limiter" "$ip" -batch - <&3
fi
case $? in 0) ;; ${CALL_FAILED}) exit ${LIMITER_FAILED} ;; *) exit ${SET_UP_FAILED} ;; esac
[ -n "$ip" ] || exit 0
exec 3<&- 8<"$user" 9<"$net"
eval "$RUN_HELPER"`;
const RUN_SELF_GUARDING = 'exec "$@" 5>&1 >/dev/null';
/**
 * Kills the helper when the host process closes its end of stdin, on purpose or by dying. A parent-death signal would not do,
 * because helpers change their credentials, which cancels it. The network is up once the namespace has a default route.
 */
const RUN_GUARDED = `
exec 4<&0 </dev/null
"$@" 4<&- >/dev/null & p=$!
{ read -r _ <&4; kill -9 $p; } >/dev/null 8<&- 9<&- & r=$!
exec 8<&- 9<&-
isUp() { while read -r _ to _ _ _ _ _ mask _; do [ "$to$mask" != 0000000000000000 ] || return 0; done < "$routes"; return 1; }
code=0
until isUp 2>/dev/null; do
  kill -0 $p 2>/dev/null && [ -e "$routes" ] || { kill -9 $p; code=1; break; }
  sleep 0.02 2>/dev/null || sleep 1
done
[ "$code" != 0 ] || echo 1
exec 4<&-; wait $p; kill -9 $r
exit $code`;
/** From the start of a set-up until the helper is up. A loaded machine needs some of it for the rest. */
const SET_UP_MS = 30_000;

/**
 * Does everything, with this helper for the network; null = it has none. May be called again, with another helper.
 * @throws SetUpError; any other Error when the helper did not provide a network, and has ended
 */
export async function setUp(plan: SetUp, network: NetworkSetUp | null): Promise<SetUpResult> {
  try {
    return await setUpOnce(plan, network);
  } catch (error) {
    if (!(error instanceof LimiterError) || plan.limiter === null) throw error;
    return setUpOnce({ ...plan, limiter: null }, network);
  }
}

class LimiterError extends SetUpError {}

function setUpOnce(
  { namespaces, nsenter, userLimits, limiter, clock }: SetUp,
  network: NetworkSetUp | null,
): Promise<SetUpResult> {
  const release = namespaces.hold();
  const { argv: helper = [], isSelfGuarding = false } = network?.helper ?? {};
  const argv = [
    nsenter, namespaces.path("user"), namespaces.path("net"), namespaces.processFile("net/route"),
    userLimits.join(" "), limiter ?? "", network?.ip ?? "", ...helper,
  ]; // biome-ignore format: one line
  const { file, args } = launcherArgs(3, [], argv, { last: SCRIPT });
  const RUN_HELPER = isSelfGuarding ? RUN_SELF_GUARDING : RUN_GUARDED;
  const start = (fds: readonly number[]) =>
    startProgram(file, args, {
      env: { ...HOST_ENV, LIMIT, RUN_HELPER },
      cwd: "/",
      detached: true,
      stdio: [network ? "pipe" : "ignore", "pipe", "pipe", ...fds],
    });
  let child: ChildProcess;
  try {
    child = withAnonymousFiles(network ? [Buffer.from(network.rules)] : [], start);
  } catch (cause) {
    release();
    return Promise.reject(new SetUpError((cause as Error).message, { cause }));
  }
  child.stdin?.on("error", () => {});
  let said = "";
  child.stderr?.on("data", (bytes) => {
    if (said.length < 2_000) said += String(bytes);
  });
  const stop = () => {
    if (isSelfGuarding) child.kill("SIGKILL");
    for (const end of [child.stdin, child.stdout, child.stderr]) end?.destroy();
  };
  return new Promise((resolve, reject) => {
    let output = "";
    const failed = network ? "the host's addresses could not be blocked" : "its namespaces could not be entered";
    const gone = new Promise<void>((ended) => child.once("exit", () => ended()));
    const result = (): SetUpResult => ({ unlimited: /^@unlimited (.*)$/m.exec(output)?.[1] ?? null, stop, gone });
    const cancelLimit = clock.after(SET_UP_MS, stop);
    child.stdout?.on("data", (bytes) => {
      if (output.length < 65_536) output += String(bytes);
      if (!network || !/^1$/m.test(output)) return;
      cancelLimit();
      resolve(result());
    });
    child.once("error", (error) => {
      cancelLimit();
      release();
      reject(new SetUpError(error.message));
    });
    child.once("exit", release);
    child.once("close", (code) => {
      cancelLimit();
      const why = said.trim().replaceAll(/\s+/g, " ").slice(-300);
      if (code === 0 && !network) resolve(result());
      else if (code === LIMITER_FAILED) reject(new LimiterError(`${failed}: ${why}`));
      else if (code === SET_UP_FAILED) reject(new SetUpError(`${failed}: ${why}`));
      else if (network && code !== LAUNCHER_FAILED) reject(new Error(why));
      else reject(new SetUpError(`its set-up ended with ${code ?? "a signal"}: ${why}`));
    });
  });
}
