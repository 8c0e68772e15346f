import { HOST_ENV } from "../host-tools.ts";
import type { CommandPlan, Launch } from "../isolation.ts";
import { commandScript, READ_SCRIPT_ON_LINUX } from "../shell-script.ts";
import type { Cgroup } from "./cgroup.ts";
import type { Launchers } from "./launchers.ts";
import type { Namespaces } from "./namespaces.ts";
import { ENTRY } from "./programs/sandbox-programs.ts";

/**
 * How a command enters a sandbox, stage by stage: cgroup, namespaces, the inner user namespace (which has no privileges),
 * limits, the system-call filter, and a shell that reads the command from descriptor 3 and reports there. From `ENTRY` on
 * everything is executed from the sandbox's own read-only root, and stays root of the outer user namespace only for as
 * long as joining the inner one takes.
 */
export function enterLaunch(
  { nsenter, launchers }: { readonly nsenter: string; readonly launchers: Launchers },
  namespaces: Namespaces,
  cgroup: Cgroup | null,
  command: CommandPlan,
): Launch {
  const argv = [
    // Waits for the command and stops when the command is stopped. If we died, nobody would resume it, so it dies too.
    nsenter, "--preserve-credentials", ...namespaces.enterArgs(), "--",
    // Finds the inner namespace through the sandbox's first process, which cannot be replaced: once that process has
    // ended, its namespaces accept no new processes.
    ENTRY, "/bin/sh", "-c", READ_SCRIPT_ON_LINUX,
  ]; // biome-ignore format: one line per stage
  return {
    ...launchers.command(argv, cgroup?.procsFiles ?? []),
    env: HOST_ENV,
    cwd: "/",
    script: commandScript(command),
    settled: namespaces.hold(),
  };
}
