import type { BurstReturn, LeftBehind, Returned } from "../core/burst-return.ts";
import { oneLine, plainName } from "../shared/plain-text.ts";
import { formatSize, toText } from "../workspace/paths.ts";

/* What a job's agent is told of a command that ran on a GPU. Names of files are shown so that none passes for our own words. */

/** Names of each kind that are shown. */
const SHOWN = 20;

const list = (texts: readonly string[]): string =>
  texts.length <= SHOWN ? texts.join(", ") : `${texts.slice(0, SHOWN).join(", ")} and ${texts.length - SHOWN} more`;

const names = (paths: readonly string[]): string => list(paths.map((path) => plainName(toText(path))));

/** Below the output of a command. @param devices what its GPUs report to be */
export function renderBurst(gpu: string, devices: readonly string[], wasThere: boolean, returned: BurstReturn): string {
  const reported = [...new Set(devices)].map((name) => oneLine(name, 64)).join(", ");
  const ran = `ran on ${gpu}${reported === "" ? "" : ` (${reported})`}${wasThere ? ", which you had still" : ""}`;
  if (returned.kind === "failed") {
    const kept = returned.snapshot === null ? "It is lost" : `It is kept in the snapshot ${returned.snapshot}`;
    return `[${ran}; what it wrote did NOT come back: ${oneLine(returned.why, 500)}. ${kept}; your files are as they were.]`;
  }
  const { put, removed } = returned.files;
  const counts = [
    put > 0 && `${put} changed ${put === 1 ? "file" : "files"} came back`,
    removed > 0 && `${removed} removed here too`,
  ];
  const changes = counts.filter(Boolean).join(", ") || "it changed no files here";
  return [`[${ran}; ${changes}]`, ...renderExceptions(returned.files, returned.snapshot)].join("\n");
}

function renderExceptions({ beside, kept, left, special, failed }: Returned, snapshot: string | null): string[] {
  const lines: string[] = [];
  const where = snapshot === null ? "could not be kept anywhere" : `are in the snapshot ${snapshot}`;
  if (beside.length > 0) {
    const pairs = beside.map(
      ({ path, as }) => `${plainName(toText(path))} (the command's version is ${plainName(toText(as))})`,
    );
    lines.push(`[you changed these files meanwhile, so yours stay: ${list(pairs)}]`);
  }
  if (kept.length > 0)
    lines.push(`[the command removed these files, but you changed them meanwhile, so they stay: ${names(kept)}]`);
  if (left.length > 0) {
    const sizes = left.map(({ path, bytes }) => `${plainName(toText(path))} (${formatSize(bytes)})`);
    lines.push(
      `[these files are too large to come back and ${where}: ${list(sizes)}. Have large outputs written to a volume, or run what needs them in the same command]`,
    );
  }
  if (failed.length > 0) lines.push(`[these files could not be brought back and ${where}: ${names(failed)}]`);
  if (special.length > 0) lines.push(`[pipes, sockets and devices do not come back: ${names(special)}]`);
  return lines;
}

/** For the prompt after a restart: what became of a command on a GPU. "" for nothing worth a word. */
export function renderLeftBehind(left: LeftBehind | null): string {
  if (left === null || left.was === "idle") return "";
  const command = `Your command on a GPU (${plainName(oneLine(left.command, 200))})`;
  if (left.was === "returned")
    return `${command} had ended, and all files it changed had come back; its output is lost.`;
  if (left.was === "returning")
    return `${command} had ended, but the files it changed had not come back: run it again.`;
  return `${command} was cut off, and nothing it wrote came back: run it again.`;
}

/** Said of a job that has such GPUs in its own sandbox. */
export const ownGpu = (gpu: string): string => `[ran in your own sandbox, which has ${gpu} itself]`;
