import { basename, dirname, isAbsolute, resolve } from "node:path";
import type { Hooks, PluginInput } from "@opencode-ai/plugin";
import { JOB_ONLY_TOOLS } from "../shared/job-tools.ts";
import { disposing } from "./whole-instance.ts";

/*
 * OpenCode runs one instance for each directory, and tells a plugin in it of nothing that happens in another. The sessions
 * of a project's jobs run in an instance of their own (job-instance.ts), whose hooks and tools lead to the instance that the
 * user has open: that one has the jobs.
 */

/** What the plugin does in the instances that users have open, by directory. */
const openInstances = new Map<string, Hooks>();
/** Directories of instances for jobs that lead to others, and whose events have been heard. */
const jobInstances = new Set<string>();

type Place = Pick<PluginInput, "directory" | "worktree">;

/** Whether an instance is one for jobs, opened at its project's `.git` folder. */
const isForJobs = ({ directory, worktree }: Place): boolean =>
  basename(directory) === ".git" && dirname(directory) === worktree;

/** Whether what happens in an instance for jobs reaches the instance of its project: OpenCode is done with loading it. */
export const isJoined = (directory: string): boolean => jobInstances.has(directory);

/** The hooks of the instance that the user has open in a directory. */
export const openIn = (directory: string): Hooks | undefined => openInstances.get(directory);

/**
 * The hooks of an instance, which is known to the others from now on until OpenCode disposes of it.
 * @param untilWhole resolves once the instance of the directory is whole, which may be another one then
 */
export function join(place: Place, own: Hooks, untilWhole: () => Promise<void> = async () => {}): Hooks {
  const { directory } = place;
  if (isForJobs(place)) return joinProject(place, own);
  const hooks: Hooks = {
    ...own,
    async "chat.message"(...given) {
      await untilWhole();
      const now = openInstances.get(directory) ?? hooks;
      await (now === hooks ? own : now)["chat.message"]?.(...given);
    },
    async dispose() {
      const disposed = Promise.resolve(own.dispose?.());
      disposing(directory, disposed);
      await disposed;
      // The next instance of the directory may be there already.
      if (openInstances.get(directory) === hooks) openInstances.delete(directory);
    },
  };
  openInstances.set(directory, hooks);
  return hooks;
}

function joinProject({ directory, worktree }: Place, own: Hooks): Hooks {
  const project = () => openInstances.get(worktree);
  const { config, dispose, tool = {}, ...others } = own;
  const names = Object.keys(others) as (keyof typeof others)[];
  const forwarded = names.map((name) => {
    const forward = (...given: readonly unknown[]) => {
      if (name === "event") jobInstances.add(directory);
      const hook = (project() ?? own)[name] as ((...args: readonly unknown[]) => unknown) | undefined;
      return hook?.(...given);
    };
    return [name, forward];
  });
  const tools = Object.entries(tool).map(([name, definition]) => {
    const execute: typeof definition.execute = async (args, context) => {
      const theirs = project()?.tool?.[name];
      if (!theirs && JOB_ONLY_TOOLS.includes(name)) throw new Error(NOT_OPEN);
      return await (theirs ?? definition).execute(args, context);
    };
    return [name, { ...definition, execute }];
  });
  return {
    ...Object.fromEntries(forwarded),
    tool: Object.fromEntries(tools),
    config: async (merged) => {
      const { skills } = merged as { skills?: { paths?: readonly string[] } };
      if (skills?.paths) Object.assign(skills, { paths: skills.paths.map((path) => inProject(worktree, path)) });
      await config?.(merged);
      Object.assign(merged, FOR_JOBS);
    },
    dispose: async () => {
      jobInstances.delete(directory);
      await dispose?.();
    },
  };
}

const NOT_OPEN = "The project of this job is not open in OpenCode at the moment. Nothing was done.";

/** OpenCode takes relative folders of skills from the directory of the instance. */
const inProject = (worktree: string, path: string): string =>
  isAbsolute(path) || path.startsWith("~") ? path : resolve(worktree, path);

/**
 * What jobs have no use for, as their tools touch nothing of the user's: git snapshots of his files before and after each
 * step, language servers and formatters for them, and MCP servers, which no job may call.
 */
const FOR_JOBS = { snapshot: false, lsp: false, formatter: false, mcp: {} };
