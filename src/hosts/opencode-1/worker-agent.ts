import type { Config } from "@opencode-ai/plugin";
import { DEFAULT_AGENT } from "../../core/task.ts";
import { JOB_ONLY_TOOLS, JOB_TOOLS } from "../shared/job-tools.ts";
import { type PermissionRule, toRules, type UserRules } from "./permission-rules.ts";

/** `invalid` is where OpenCode routes calls of tools that it does not show. */
const CALLABLE = new Set([...JOB_TOOLS, "invalid"]);

/** Whether a job's model may call this tool. */
export const isJobTool = (tool: string): boolean => CALLABLE.has(tool);

/**
 * Second layer of isolation: rules on the child session itself. OpenCode applies them after the agent's, so they hold
 * under whatever agent the session is prompted as.
 * @param forbidden tools that the user's rules take from this job
 */
export const jobSessionRules = (forbidden: readonly string[]): PermissionRule[] => [
  { permission: "*", pattern: "*", action: "deny" },
  ...JOB_TOOLS.filter((tool) => !forbidden.includes(tool)).map(
    (permission): PermissionRule => ({ permission, pattern: "*", action: "allow" }),
  ),
];

/**
 * First layer of isolation: the worker agent's own rules. `doom_loop`, whether to go on after three equal calls, is
 * allowed because the default would ask, and nobody answers in a job.
 */
const WORKER_RULES = Object.fromEntries([["*", "deny"], ...[...JOB_TOOLS, "doom_loop"].map((name) => [name, "allow"])]);

const DESCRIPTION = "Works on one delegated task in a sandbox of its own. Started with agents_start, never with task.";

type Loose = Record<string, unknown>;

/**
 * Adds the worker agent, our skills and the visibility rules to the host's merged configuration.
 * @param skillsDir absolute; searched for SKILL.md files
 * @returns the user's own rules, before ours
 */
export function extendConfig(config: Config, skillsDir: string): UserRules {
  const c = config as unknown as Loose;
  const agents = { ...(c.agent as Loose | undefined) };
  const ofAgent = ([name, agent]: [string, unknown]) => [name, toRules((agent as Loose | undefined)?.permission)];
  const userRules: UserRules = {
    all: toRules(c.permission),
    agents: Object.fromEntries(Object.entries(agents).map(ofAgent)),
  };
  // A user may choose the worker's model or temperature, never its rules.
  agents[DEFAULT_AGENT] = {
    description: DESCRIPTION,
    ...(agents[DEFAULT_AGENT] as Loose | undefined),
    mode: "subagent",
    hidden: true,
    permission: WORKER_RULES,
  };
  c.agent = agents;

  const skills = { ...(c.skills as { paths?: string[] } | undefined) };
  c.skills = { ...skills, paths: [...(skills.paths ?? []), skillsDir] };

  const permission = byName(c.permission);
  for (const tool of JOB_ONLY_TOOLS) {
    delete permission[tool]; // an existing key would keep its place, before a later "*" that wins
    permission[tool] = "deny";
  }
  permission.task = { ...byName(permission.task), [DEFAULT_AGENT]: "deny" };
  c.permission = permission;
  return userRules;
}

/** A configured permission is one action for everything, or actions by name, of which the last match wins. */
function byName(value: unknown): Loose {
  if (typeof value === "string") return { "*": value };
  return { ...(value as Loose | undefined) };
}
