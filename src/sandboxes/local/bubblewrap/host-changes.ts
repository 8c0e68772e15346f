import { type ChildProcess, spawn } from "node:child_process";
import { findTool, HOST_ENV } from "../host-tools.ts";

const listeners = new Set<() => void>();
let monitor: ChildProcess | null = null;

/**
 * Calls back when the kernel reports a change of the host's addresses or routes. One `ip monitor` serves all sandboxes, while
 * there are any. It only tells sooner what each sandbox looks for every second: where it cannot run, nothing is lost.
 * @param ip absolute path of the host's `ip`
 * @returns a function that ends the calls
 */
export function onHostChange(ip: string, listener: () => void): () => void {
  const call = () => listener(); // of its own, so that the same listener may be given twice
  listeners.add(call);
  monitor ??= start(ip);
  return () => {
    listeners.delete(call);
    if (listeners.size > 0) return;
    monitor?.kill("SIGKILL");
    monitor = null;
  };
}

function start(ip: string): ChildProcess | null {
  const setpriv = findTool("setpriv");
  if (setpriv === null) return null;
  const argv = ["--pdeathsig", "KILL", "--", ip, "-4", "monitor", "address", "route"];
  const child = spawn(setpriv, argv, { env: HOST_ENV, cwd: "/", stdio: ["ignore", "pipe", "ignore"] });
  child.unref();
  child.stdout.on("data", () => {
    for (const call of listeners) call();
  });
  const forget = () => {
    if (monitor === child) monitor = null; // the next sandbox starts another one
  };
  child.once("error", forget);
  child.once("exit", forget);
  return child;
}
