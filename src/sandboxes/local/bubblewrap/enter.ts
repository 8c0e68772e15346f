import { HOST_ENV } from "../host-tools.ts";
import type { CommandPlan, Launch, ResourceLimits } from "../isolation.ts";
import { commandScript, READ_SCRIPT } from "../shell-script.ts";
import type { Cgroup } from "./cgroup.ts";
import { launcherArgs } from "./launcher.ts";
import type { Namespaces } from "./namespaces.ts";
import { processLimits } from "./process-limits.ts";
import { ENTRY } from "./wall-args.ts";

/** Commands die for lack of memory before their sandbox's first process does. */
const OOM_SCORE = 500;

/**
 * The way of a command into a sandbox: cgroup, namespaces, the inner user namespace (the one without privileges), the
 * system-call filter, limits, a shell that reads the command from descriptor 3 and reports there. Everything from
 * its entry on is executed from the sandbox's own read-only root, not as its first user namespace's root for
 * longer than it takes to join the second.
 */
export function enterLaunch(
  { nsenter, setpriv }: { readonly nsenter: string; readonly setpriv: string },
  namespaces: Namespaces,
  cgroup: Cgroup | null,
  limits: ResourceLimits,
  command: CommandPlan,
): Launch {
  const argv = [
    // It waits for the command, and stops when that is stopped: without us nobody would ever let it go on and end.
    setpriv, "--pdeathsig", "KILL", "--",
    nsenter, "--preserve-credentials", ...namespaces.enterArgs(), "--",
    // It finds the inner namespace by the sandbox's first process, which cannot be replaced: when that goes, its
    // namespaces take no one in any more.
    ENTRY,
    "/usr/bin/prlimit", ...processLimits(limits, cgroup), "--",
    // A group of its own inside: the nsenter that waits for it on the host must not get the command's signals.
    "/usr/bin/setsid", "/bin/sh", "-c", READ_SCRIPT,
  ]; // biome-ignore format: one line a stage
  return {
    ...launcherArgs(3, cgroup?.procsFiles ?? [], argv, OOM_SCORE),
    env: HOST_ENV,
    cwd: "/",
    script: commandScript(command),
    settled: namespaces.hold(),
  };
}
