import type { Sandbox } from "../../sandboxes/port.ts";
import { runScript, type ScriptBounds } from "../sandbox/run-script.ts";

/*
 * Whether a sandbox has changed outside its work directory, such as by the installation of a package: only the work
 * directory is brought up to date in another one. Removals, temporary files and caches do not count.
 */

const MARK = "/tmp/.parallel-agents-exchange.mark";

/** Says "same" only where find(1) could look. What is lent from elsewhere is another file system, and is not looked at. */
const LOOK = `[ -e ${MARK} ] || exit 0
found=$(find / "\${HOME:-/}" -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp \\
  -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path "$1" -o -path '*/.cache' -o -name __pycache__ -o -name '.*_history' \\) -prune \\
  -o \\( -type f -o -type l \\) -cnewer ${MARK} -print 2>/tmp/.parallel-agents-exchange.errors | head -n 1)
[ -z "$found" ] && ! grep -qi 'unrecogni\\|unknown\\|usage' /tmp/.parallel-agents-exchange.errors 2>/dev/null && echo same
rm -f /tmp/.parallel-agents-exchange.errors`;

/** Remembers the present state, before a copy of the sandbox is taken. */
export async function markOutside(sandbox: Sandbox, bounds: ScriptBounds): Promise<void> {
  await runScript(sandbox, `: > ${MARK}`, [], bounds);
}

/** Whether nothing outside the work directory is known to have changed since the mark. Never rejects. */
export async function isSameOutside(sandbox: Sandbox, bounds: ScriptBounds): Promise<boolean> {
  const end = await runScript(sandbox, LOOK, [sandbox.workdir], bounds).catch(() => null);
  return end?.stdout.trim() === "same";
}
