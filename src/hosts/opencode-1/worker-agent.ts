import type { Config } from "@opencode-ai/plugin";
import { DEFAULT_AGENT } from "../../jobs/core/task.ts";
import { type Rule, toRules, type UserRules } from "./permission-rules.ts";

/** Tools that only work inside a job, hidden from everyone else. */
const INSIDE_ONLY = ["sandbox_exec", "sandbox_process", "sandbox_read", "sandbox_write", "sandbox_edit", "job_report"];

/** Tools a job's model is shown, by name: a pattern would show it what others call `sandbox_…` too. */
const ALLOWED = [...INSIDE_ONLY, "sandbox_snapshot", "skill"];

/** Tools a job's model may call. `invalid` is where the host routes calls of tools it does not show. */
const JOB_TOOLS = new Set([...ALLOWED, "invalid"]);

export const isJobTool = (tool: string): boolean => JOB_TOOLS.has(tool);

/**
 * Wall 2: rules on the child session itself. They come last, so they hold under whatever agent it is prompted as.
 * @param forbidden tools that this job has not
 */
export const jobSessionRules = (forbidden: readonly string[]): Rule[] => [
  { permission: "*", pattern: "*", action: "deny" },
  ...ALLOWED.filter((tool) => !forbidden.includes(tool)).map(
    (permission): Rule => ({ permission, pattern: "*", action: "allow" }),
  ),
];

/** Wall 1: the worker agent's own rules. `doom_loop` would ask, and nobody answers in a job. */
const WORKER_RULES = Object.fromEntries([["*", "deny"], ...[...ALLOWED, "doom_loop"].map((name) => [name, "allow"])]);

const DESCRIPTION = "Works on one delegated task in a sandbox of its own. Started with agents_start, never with task.";

type Loose = Record<string, unknown>;

/**
 * Adds the worker agent, our skills and the visibility rules to the host's merged configuration.
 * @param skillsDir absolute; searched for SKILL.md files
 * @returns what the user allows and forbids himself
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
  for (const tool of INSIDE_ONLY) {
    delete permission[tool]; // a key that is there already would keep its place, before a later "*"
    permission[tool] = "deny";
  }
  permission.task = { ...byName(permission.task), [DEFAULT_AGENT]: "deny" };
  c.permission = permission;
  return userRules;
}

/** A permission is one action for everything, or actions by name; the last matching one wins. */
function byName(value: unknown): Loose {
  if (typeof value === "string") return { "*": value };
  return { ...(value as Loose | undefined) };
}
