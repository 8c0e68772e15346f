import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { nameList } from "../../shared/plain-text.ts";
import { runScript, type ScriptBounds } from "../../workspace/sandbox/run-script.ts";

/*
 * What a set-up has left running. Only files are kept of it, so a server that it starts is not there in its jobs, which
 * nobody would find out from the error of the program that misses it.
 */

/** Prints number and name of every process of the sandbox that is none of the kernel's and has not ended. */
const LIST = `for p in /proc/[0-9]*; do
  n=\${p#/proc/}; name=
  [ "$n" != $$ ] && [ -n "$(tr -d '\\0' < "$p/cmdline")" ] && IFS= read -r name < "$p/comm" && printf '%s %s\\0' "$n" "$name"
done 2>/dev/null
true`;
/** Commands of ours run under shells, on Modal under one more, so nobody can tell a set-up's own shell from those. */
const SHELLS: ReadonlySet<string> = new Set(["sh", "bash", "dash"]);
const LINE = /^(\d+) (.+)$/s;

/** What runs in a sandbox now, by its number there. Empty where nobody can tell. Never rejects. */
export async function runningIn(
  provider: Pick<SandboxProvider, "lent">,
  sandbox: Sandbox,
  bounds: ScriptBounds,
): Promise<ReadonlyMap<string, string>> {
  // A sandbox of this machine to which nothing is lent is not isolated: all of the machine's processes are seen there.
  if (provider.lent && (await provider.lent().catch(() => null))?.lent.length === 0) return new Map();
  const output = await runScript(sandbox, LIST, [], bounds).catch(() => null);
  const lines = Buffer.from(output?.stdout ?? "", "latin1")
    .toString("utf8")
    .split("\0");
  return new Map(
    lines.flatMap((line) => {
      const [, number, name] = LINE.exec(line) ?? [];
      return number !== undefined && name !== undefined && !SHELLS.has(name) ? [[number, name] as const] : [];
    }),
  );
}

/** @returns what jobs should know of it, one sentence at most */
export function leftRunning(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const names = [...after].filter(([number, name]) => before.get(number) !== name).map(([, name]) => name);
  if (names.length === 0) return [];
  return [
    `The environment's set-up left processes running, of which jobs have only the files: ${nameList([...new Set(names)])}. A job that needs one starts it itself.`,
  ];
}
