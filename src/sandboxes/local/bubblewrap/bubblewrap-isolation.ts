import { spawnSync } from "node:child_process";
import { constants } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Clock } from "../../../shared/clock.ts";
import { PluginError } from "../../../shared/error-code.ts";
import type { Log } from "../../../shared/log.ts";
import { findTool, HOST_ENV } from "../host-tools.ts";
import type { Enclosure, EnclosurePlan, Isolation, LendingRules } from "../isolation.ts";
import { entryProgram } from "./call-filter/entry-program.ts";
import { filterProgram, thisProcessor } from "./call-filter/filter-program.ts";
import { createCgroup, findCgroupHomes, sweepCgroups } from "./cgroup.ts";
import { openEnclosure } from "./enclosure.ts";
import { hostAddresses, NEVER_REACHABLE } from "./host-addresses.ts";
import { type HostPath, readHostPath } from "./host-path.ts";
import { real } from "./lent/look.ts";
import { unkeptLimits } from "./process-limits.ts";
import { reachableNameservers, synthesizedFiles } from "./root-filesystem.ts";
import { createTrees } from "./trees.ts";
import { HOME, refuseWorkdir, type WallOptions, wallArgs } from "./wall-args.ts";

export interface BubblewrapDeps {
  readonly rootDir: string;
  readonly hostPath: string;
  readonly lending: LendingRules;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
}

/** What lies in a sandbox's folder that was not made here is not written through. */
const NO_LINK = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/** bubblewrap, or the sentence that says why not; looks at what is installed only, see `probeIsolation` for a real try. */
export function createBubblewrapIsolation(deps: BubblewrapDeps): Isolation | string {
  const tools = {
    bwrap: findTool("bwrap"),
    nsenter: findTool("nsenter"),
    setpriv: findTool("setpriv"),
    prlimit: findTool("prlimit"),
  };
  const missing = Object.entries(tools)
    .filter(([, path]) => path === null)
    .map(([name]) => name);
  if (process.platform !== "linux") return "bubblewrap needs Linux";
  if (missing.length > 0)
    return `${missing.join(", ")} not installed (remedy: apt install bubblewrap util-linux, or your system's like)`;
  const processor = thisProcessor();
  if (processor === null)
    return `its system-call filter knows x86-64 and arm64 only, not this ${process.arch} process (remedy: provider "modal")`;
  const program = filterProgram(processor);
  const filter = { program, entry: entryProgram(processor, program) };
  const { bwrap, nsenter, setpriv } = tools as { bwrap: string; nsenter: string; setpriv: string };
  const help = spawnSync(bwrap, ["--help"], { env: { ...HOST_ENV }, encoding: "utf8" }).stdout ?? "";
  const options: WallOptions = {
    disableUserns: help.includes("--disable-userns"),
    sizedTmpfs: help.includes("--size "),
  };
  // As root, a job's user is the host's root without its privileges: user namespaces inside are too much to leave it.
  if (!options.disableUserns && process.geteuid?.() === 0)
    return "this bwrap is too old to be used as root (0.8 or later is needed)";
  // Found once per provider, on first use.
  let homes: ReturnType<typeof findCgroupHomes> | null = null;

  // Looked up anew for each sandbox: what is installed changes.
  const lookUp = (inside: readonly string[]) => {
    const { hostPath, rootDir, lending } = deps;
    const kept = [rootDir, ...lending.kept].map((path) => real(path) ?? path);
    const project = lending.project === null ? null : real(lending.project);
    const home = real(homedir()) ?? homedir();
    return readHostPath({ hostPath, home, kept, project, inside, readOnlyPaths: lending.readOnlyPaths });
  };

  return {
    kind: "bubblewrap",
    lent: () => lookUp([HOME]),
    trees: createTrees(bwrap, filter.program),
    async open(plan: EnclosurePlan): Promise<Enclosure> {
      const refusal = refuseWorkdir(plan.workdir);
      if (refusal !== null)
        throw new PluginError("sandbox_create_failed", `Could not create the sandbox: ${refusal}.`, {
          retryable: false,
        });
      if (homes === null) {
        homes = findCgroupHomes(`opa-${process.pid}-probe-${deps.ids()}`);
        sweepCgroups(homes);
      }
      const hostPath = lookUp([plan.workdir, HOME]);
      const files = synthesizedFiles(plan.network === "open" ? resolvers() : []);
      // The files of standing walls are mounted in them.
      const fileFolder = join(plan.dirs.root, plan.isView ? "etc-of-view" : "etc");
      for (const file of files) {
        const path = join(fileFolder, file.path);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, file.content, { mode: 0o644, flag: NO_LINK });
      }
      // A unique name: a sandbox attached again must not meet the cgroup of its former walls.
      const cgroup = createCgroup(homes, `${plan.id}-${deps.ids()}`, plan.limits, deps.clock);
      const notes = notesOf(
        plan,
        [
          ...unkeptLimits(plan.limits, cgroup, process.geteuid?.() === 0),
          ...notLent(hostPath, deps.lending.readOnlyPaths),
        ],
        files.some((file) => file.path === "/etc/resolv.conf" && file.content !== ""),
      );
      const insideEnv = {
        PATH: hostPath.path,
        HOME,
        USER: "agent",
        LOGNAME: "agent",
        LANG: "C.UTF-8",
        TERM: "xterm-256color",
        SHELL: "/bin/sh",
        ...hostPath.env,
        ...plan.env,
      };
      try {
        return await openEnclosure({
          ...plan, tools: { bwrap, nsenter, setpriv }, cgroup, filter, args: wallArgs(plan, hostPath, files, fileFolder, options),
          insideEnv, notes, clock: deps.clock, log: deps.log,
        }); // biome-ignore format: one argument
      } catch (error) {
        throw new PluginError("isolation_unavailable", explain((error as Error).message), {
          cause: error,
          retryable: false,
        });
      }
    },
  };
}

function resolvers(): string[] {
  try {
    return reachableNameservers([...NEVER_REACHABLE, ...hostAddresses()]);
  } catch {
    return []; // There will be no network either, and the job is told why.
  }
}

function notesOf(plan: EnclosurePlan, known: readonly string[], resolver: boolean): string[] {
  const notes = [...known];
  if (plan.network === "open" && !resolver)
    notes.push("Names cannot be resolved: the host's resolvers listen on its loopback or are link-local.");
  return notes;
}

/** The user asked for these, so he is told. */
function notLent({ refused }: HostPath, asked: readonly string[]): string[] {
  return refused
    .filter(({ path }) => asked.includes(path))
    .map(({ path, why }) => `Not lent, though local.readOnlyPaths names it: ${path} (${why}).`);
}

/** bwrap's own words with the remedy they call for. */
function explain(said: string): string {
  const remedy = /SECCOMP|seccomp/.test(said)
    ? " The kernel takes no system-call filter here (CONFIG_SECCOMP_FILTER is needed, and nothing around OpenCode may forbid seccomp)."
    : /uid map|Permission denied|Operation not permitted|No permissions to creat/i.test(said)
      ? " Unprivileged user namespaces seem to be restricted: allow them for bwrap (sysctl kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile, kernel.unprivileged_userns_clone=1)."
      : /No space left|max_user_namespaces/i.test(said)
        ? " User namespaces seem to be used up or off: raise sysctl user.max_user_namespaces."
        : "";
  return `bubblewrap could not isolate a sandbox: ${said}.${remedy}`;
}
