import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { isProcessDead } from "./is-process-dead.ts";

/*
 * Which process something belongs to, as a text that other processes read, also after its end: "123:owner_x:4026531836
 * of boot 1f0c…:98765". A process id alone says little: another process may have it by now, and in a container it is the id
 * of somebody else.
 */

/** Names this process, with an id of the caller's. */
export const toProcessName = (id: string): string => {
  const found = own ?? { place: placeOf(), start: startOf(process.pid) };
  if (found.place !== null && found.start !== null) own = found;
  return [process.pid, id, found.place ?? "", found.start ?? ""].join(":");
};

/** Of this process, which has them for as long as it lives; null while they could not be read. */
let own: { readonly place: string | null; readonly start: string | null } | null = null;

/**
 * Whether the named process has ended; null where that cannot be known from here: it runs in another container or on
 * another machine, or an earlier version of the plugin wrote its name, which says neither place nor start.
 */
export function hasEnded(name: string): boolean | null {
  const [pid = "", , place, start] = name.split(":");
  if (!place || place !== placeOf() || !(Number(pid) > 0)) return null;
  if (isProcessDead(Number(pid))) return true;
  const now = startOf(Number(pid));
  return start && now ? now !== start : false;
}

/** Whether its process may be taken for dead. Other containers keep what they hold by renewing it. */
export const isNotAlive = (name: string): boolean =>
  isOfEarlierVersion(name) ? isProcessDead(Number.parseInt(name, 10)) : hasEnded(name) === true;

const isOfEarlierVersion = (name: string): boolean => name.split(":").length < 4;

/** Whether its process is not known to live. */
export const mayHaveEnded = (name: string): boolean =>
  isOfEarlierVersion(name) ? isNotAlive(name) : hasEnded(name) !== false;

/** Where process ids mean what they mean here; null where the system does not say. */
function placeOf(): string | null {
  if (process.platform !== "linux") return hostname().replaceAll(":", "-");
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")}-${boot}`;
  } catch {
    return null;
  }
}

/** When the process was started, in the kernel's own unit; null where the system does not say. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null; // the name before it may contain anything
  } catch {
    return null;
  }
}
