import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { homedir } from "node:os";
import { withOwnPath } from "../../../config/own-path.ts";
import type { Clock } from "../../../shared/clock.ts";
import { PluginError } from "../../../shared/error-code.ts";
import type { Log } from "../../../shared/log.ts";
import { memoizeBriefly } from "../../../shared/memoize-briefly.ts";
import { findTool, HOST_ENV } from "../host-tools.ts";
import type { Isolation, IsolationBackend, IsolationPlan, LendingRules } from "../isolation.ts";
import { hasMountsChanged, requireFilesToOpen, toShortage } from "../shortage.ts";
import { openIsolation } from "./bubblewrap-isolation.ts";
import { type BwrapOptions, bwrapArgs, HOME, refuseWorkdir } from "./bwrap-args.ts";
import { filterProgram, thisProcessor } from "./call-filter/filter-program.ts";
import { createCgroup, findCgroupParents, removeOrphanCgroups } from "./cgroup.ts";
import { hostAddresses, NEVER_REACHABLE } from "./host-addresses.ts";
import { type HostPath, readHostPath } from "./host-path.ts";
import { createIsolatedTrees } from "./isolated-trees.ts";
import { devices } from "./kernel-files.ts";
import { chooseLaunchers, type Launchers } from "./launchers.ts";
import { createCredentialSearch } from "./lent/credentials-in.ts";
import { realAsFarAsItIs } from "./lent/host-files.ts";
import { readSystemFolders } from "./lent/system-folders.ts";
import { findNetworkTools } from "./network.ts";
import { processLimits, unenforcedLimits } from "./process-limits.ts";
import { entryProgram, firstProgram } from "./programs/sandbox-programs.ts";
import { createResolverFile, resolverFolder } from "./resolver-file.ts";
import { NO_RESOLVER, programArgs, type Resolver, reachableResolver, readEtc } from "./root-filesystem.ts";
import { createSharedFiles } from "./shared-files.ts";

export interface BubblewrapDeps {
  readonly rootDir: string;
  readonly hostPath: string;
  readonly lending: LendingRules;
  readonly clock: Clock;
  readonly log: Log;
  readonly ids: () => string;
}

/** For how long sandboxes keep the name servers of a network that the host has left, at most. */
const RESOLVER_MS = 5_000;
/** Less than the time between two looks of a sandbox. */
const ADDRESSES_MS = 500;
/** Looking takes tens of milliseconds, in which OpenCode does nothing else. */
const LOOK_UP_MS = 10_000;

/** The bubblewrap backend, or why it cannot be used here. Checks only what is installed; `probeIsolation` really tries it. */
export function createBubblewrapBackend(deps: BubblewrapDeps): IsolationBackend | string {
  const tools = {
    bwrap: findTool("bwrap"),
    nsenter: findTool("nsenter"),
    setpriv: findTool("setpriv"),
  };
  const missing = Object.entries(tools)
    .filter(([, path]) => path === null)
    .map(([name]) => name);
  if (process.platform !== "linux") return "bubblewrap needs Linux";
  if (missing.length > 0)
    return `${missing.join(", ")} not installed (remedy: apt install bubblewrap util-linux, or your system's equivalent)`;
  const processor = thisProcessor();
  if (processor === null)
    return `its system-call filter knows x86-64 and arm64 only, not this ${process.arch} process (remedy: provider "modal")`;
  const filter = filterProgram(processor);
  const first = firstProgram(processor);
  const { bwrap, nsenter, setpriv } = tools as { bwrap: string; nsenter: string; setpriv: string };
  const asked = spawnSync(bwrap, ["--help"], { env: { ...HOST_ENV }, encoding: "utf8" });
  if (asked.error) return `bwrap could not be asked for what it can do: ${asked.error.message}`;
  const help = asked.stdout;
  const options: BwrapOptions = {
    disableUserns: help.includes("--disable-userns"),
    sizedTmpfs: help.includes("--size "),
  };
  // As root, a job's user is the host's root without its privileges, which makes user namespaces inside too dangerous.
  if (!options.disableUserns && process.geteuid?.() === 0)
    return "this bwrap is too old to be used as root (0.8 or later is needed)";
  // Found once per backend, on first use.
  let launchers: Launchers | null = null;
  let cgroupParents: ReturnType<typeof findCgroupParents> | null = null;

  // Read again and again, because what is installed changes, but once for sandboxes that are made right after another.
  const keyOf = (inside: readonly string[]) => [...inside, ...deps.hostPath.split(":").map(changedAt)].join("\0");
  const makeFiles = createSharedFiles(deps.rootDir);
  const { clock } = deps;
  const briefly = <Value>(forMs: number, make: () => Value) => {
    const made = memoizeBriefly({ forMs, clock }, () => "", make);
    return () => made(undefined);
  };
  const placesWith = (inside: readonly string[]) => {
    const { rootDir, lending } = deps;
    const neverLent = [rootDir, ...lending.neverLent].map(realAsFarAsItIs);
    const project = lending.project === null ? null : realAsFarAsItIs(lending.project);
    return { home: realAsFarAsItIs(homedir()), neverLent, project, inside };
  };
  const systemFolders = briefly(LOOK_UP_MS, () => readSystemFolders(placesWith([])));
  const programs = () => programArgs(systemFolders());
  const resolver = briefly(RESOLVER_MS, readResolver);
  const etcOf = memoizeBriefly({ forMs: LOOK_UP_MS, clock }, String, async (isOnline: boolean) =>
    readEtc(isOnline ? await resolver() : NO_RESOLVER, systemFolders().hidden),
  );
  const networkTools = briefly(LOOK_UP_MS, findNetworkTools);
  const addresses = briefly(ADDRESSES_MS, hostAddresses);
  const search = createCredentialSearch(clock);
  const lookUp = memoizeBriefly({ forMs: LOOK_UP_MS, clock: deps.clock }, keyOf, (inside: readonly string[]) => {
    const { hostPath, lending } = deps;
    return readHostPath({ ...placesWith(inside), hostPath, readOnlyPaths: lending.readOnlyPaths, search });
  });

  return {
    kind: "bubblewrap",
    lent() {
      const { lent, refused } = lookUp([HOME]);
      return { lent, refused: [...refused, ...systemFolders().refused] };
    },
    trees: createIsolatedTrees(bwrap, filter, programs),
    async open(plan: IsolationPlan): Promise<Isolation> {
      const refusal = refuseWorkdir(plan.workdir);
      if (refusal !== null)
        throw new PluginError("sandbox_create_failed", `Could not create the sandbox: ${refusal}.`, {
          retryable: false,
        });
      requireFilesToOpen();
      if (cgroupParents === null) {
        cgroupParents = findCgroupParents(`opa-${process.pid}-probe-${deps.ids()}`);
        removeOrphanCgroups(cgroupParents);
      }
      const parents = cgroupParents;
      launchers ??= chooseLaunchers(deps.rootDir, processor, setpriv);
      const hostPath = lookUp([plan.workdir, HOME]);
      const etc = await etcOf(plan.network === "open");
      const etcFiles = makeFiles(etc.files);
      const resolverFile = plan.network === "open" ? createResolverFile(resolver) : null;
      const folder = resolverFile && resolverFolder((plan.making ?? plan).dirs);
      if (folder !== null) await resolverFile?.follow(folder);
      // A unique name, because the cgroup of an earlier attach to the same sandbox may still exist.
      const newCgroup = () => createCgroup(parents, `${plan.id}-${deps.ids()}`, plan.limits, deps.clock);
      const cgroup = newCgroup();
      const notes = notesOf(
        plan,
        [
          ...unenforcedLimits(plan.limits, cgroup, process.geteuid?.() === 0),
          ...notLent(hostPath, deps.lending.readOnlyPaths),
        ],
        etc.files.some(({ name, content }) => name === "resolv.conf" && content !== ""),
      );
      const insideEnv = {
        PATH: hostPath.path,
        HOME,
        USER: "agent",
        LOGNAME: "agent",
        LANG: "C.UTF-8",
        TERM: "xterm-256color",
        SHELL: "/bin/sh",
        // Where npm would install programs for all projects, nobody may write inside.
        ...("npm_config_prefix" in plan.env ? {} : { NPM_CONFIG_PREFIX: `${HOME}/.local` }),
        ...hostPath.env,
        ...withOwnPath(plan.env, hostPath.path),
        ...plan.gpus?.env,
      };
      const files = {
        filter,
        first,
        entry: entryProgram(
          processor,
          filter,
          processLimits(plan.limits, cgroup),
          // Others do not own the host's devices.
          process.geteuid?.() === 0 ? devices(plan.gpus) : [],
        ),
      };
      const open = (cgroup: ReturnType<typeof newCgroup>) =>
        openIsolation({
          ...plan, tools: { bwrap, nsenter, launchers: launchers as Launchers }, cgroup, files, args: bwrapArgs(plan, programs(), hostPath, etc, etcFiles, folder, cgroup, options),
          insideEnv, notes, networkTools, addresses, resolverFile, clock, log: deps.log,
        }); // biome-ignore format: one argument
      const openAgain = (error: Error) => {
        if (!hasMountsChanged(error.message)) throw error;
        return open(newCgroup()); // the first one has been removed
      };
      return open(cgroup).catch(openAgain).catch(refuse);
    },
  };
}

/** When an entry of a folder was last added or removed; 0 where there is none, or it may not be looked at. */
function changedAt(folder: string): number {
  try {
    return statSync(folder).mtimeMs;
  } catch {
    return 0;
  }
}

async function readResolver(): Promise<Resolver> {
  try {
    return reachableResolver([...NEVER_REACHABLE, ...(await hostAddresses())]);
  } catch {
    return NO_RESOLVER; // the network will fail for the same reason, and the job is told why
  }
}

function notesOf(plan: IsolationPlan, known: readonly string[], resolver: boolean): string[] {
  const notes = [...known, ...(plan.gpus?.notes ?? [])];
  if (plan.network === "open" && !resolver)
    notes.push("Names cannot be resolved: the host's resolvers listen on its loopback or are link-local.");
  return notes;
}

/** Notes on the paths that the user asked to lend and that are not lent. */
function notLent({ refused }: HostPath, asked: readonly string[]): string[] {
  return refused
    .filter(({ path }) => asked.includes(path))
    .map(({ path, why }) => `Not lent, though local.readOnlyPaths names it: ${path} (${why}).`);
}

/** @throws PluginError */
function refuse(cause: Error): never {
  const shortage = toShortage(cause);
  if (shortage !== null) throw shortage;
  throw new PluginError("isolation_unavailable", explainFailure(cause.message), { cause, retryable: false });
}

/** bwrap's own message with the remedy for it. */
export function explainFailure(message: string): string {
  const remedy = /SECCOMP|seccomp/.test(message)
    ? " The kernel accepts no system-call filter here (CONFIG_SECCOMP_FILTER is needed, and OpenCode must not run where seccomp is forbidden)."
    : /uid map|Permission denied|Operation not permitted|No permissions to creat/i.test(message)
      ? " Unprivileged user namespaces seem to be restricted: allow them for bwrap (sysctl kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile, kernel.unprivileged_userns_clone=1)."
      : /namespace.*(?:No space left|ENOSPC)/i.test(message)
        ? " User namespaces seem to be used up or disabled: raise sysctl user.max_user_namespaces."
        : "";
  return `bubblewrap could not isolate a sandbox: ${message.replace(/\.$/, "")}.${remedy}`;
}
