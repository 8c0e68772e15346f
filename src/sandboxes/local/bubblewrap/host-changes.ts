import type { ChildProcess } from "node:child_process";
import type { Clock } from "../../../shared/clock.ts";
import { spaceOut } from "../../../shared/space-out.ts";
import { startProgram } from "../../../shared/start-program.ts";
import { findTool, HOST_ENV } from "../host-tools.ts";
import { hostAddresses } from "./host-addresses.ts";

/** Told of the host's addresses as they are after a change. */
type Listener = (addresses: () => ReturnType<typeof hostAddresses>) => void;

/** Between two looks while changes keep coming, as when a VPN adds its routes. */
const PAUSE_MS = 100;

const listeners = new Set<Listener>();
let monitor: ChildProcess | null = null;

/**
 * Calls back when the kernel reports a change of the host's addresses or routes. One `ip monitor` serves all sandboxes, while
 * there are any, and so does one look at the addresses. It only tells sooner what each sandbox looks for every second: where
 * it cannot run, nothing is lost.
 * @param ip absolute path of the host's `ip`
 * @returns a function that ends the calls
 */
export function onHostChange(ip: string, clock: Clock, listener: Listener): () => void {
  const call: Listener = (addresses) => listener(addresses); // of its own, so that the same listener may be given twice
  listeners.add(call);
  try {
    monitor ??= start(ip, clock);
  } catch {
    // Too many files are open: the next sandbox starts it.
  }
  return () => {
    listeners.delete(call);
    if (listeners.size > 0) return;
    monitor?.kill("SIGKILL");
    monitor = null;
  };
}

async function tell(): Promise<void> {
  if (listeners.size === 0) return;
  const addresses = hostAddresses();
  for (const call of listeners) call(() => addresses);
  await addresses;
}

function start(ip: string, clock: Clock): ChildProcess | null {
  const setpriv = findTool("setpriv");
  if (setpriv === null) return null;
  const argv = ["--pdeathsig", "KILL", "--", ip, "-4", "monitor", "address", "route"];
  const child = startProgram(setpriv, argv, { env: HOST_ENV, cwd: "/", stdio: ["ignore", "pipe", "ignore"] });
  child.unref();
  child.stdout.on("data", spaceOut(clock, PAUSE_MS, tell));
  const forget = () => {
    if (monitor === child) monitor = null; // the next sandbox starts another one
  };
  child.once("error", forget);
  child.once("exit", forget);
  return child;
}
