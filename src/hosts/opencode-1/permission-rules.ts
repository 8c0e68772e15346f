import { DEFAULT_AGENT } from "../../jobs/core/task.ts";

/*
 * What the user forbids to an agent is forbidden to its jobs. OpenCode's rules name its own tools, and the last one that
 * matches decides; a job's tools stand for them in the sandbox.
 */

export interface Rule {
  readonly permission: string;
  readonly pattern: string;
  readonly action: "allow" | "ask" | "deny";
}

/** Rules as the user wrote them, before ours: of all agents, and of single ones. */
export interface UserRules {
  readonly all: readonly Rule[];
  readonly agents: Readonly<Record<string, readonly Rule[]>>;
}

export interface HostAgent {
  readonly name: string;
  /** As the host resolved them: its defaults, the user's, and ours. */
  readonly permission: readonly Rule[];
}

/** The permission of the host's that each tool of a job stands for; null where the host has nothing like it. */
const STANDS_FOR: Readonly<Record<string, string | null>> = {
  sandbox_exec: "bash",
  sandbox_process: "bash",
  sandbox_read: "read",
  sandbox_write: "edit",
  sandbox_edit: "edit",
  skill: "skill",
  sandbox_snapshot: null,
  job_report: null,
};

/** A rule of a configuration is one action, or actions by pattern. */
export function toRules(permission: unknown): Rule[] {
  if (typeof permission === "string") return [{ permission: "*", pattern: "*", action: permission as Rule["action"] }];
  return Object.entries((permission ?? {}) as Record<string, unknown>).flatMap(([name, value]) =>
    (typeof value === "string" ? [["*", value] as const] : Object.entries((value ?? {}) as object)).map(
      ([pattern, action]): Rule => ({ permission: name, pattern, action: action as Rule["action"] }),
    ),
  );
}

/** Tools that a job has not, whose agent this is. */
export function forbiddenToJobsOf(agent: HostAgent, user: UserRules): string[] {
  const own = ownRules(agent.name, user);
  // The rules that the host has for our own worker are ours: they forbid all but the sandbox. "Nothing but these" for
  // all agents of the user's does not mean it.
  const ofWorker = [...user.all.filter(isNamed), ...(user.agents[DEFAULT_AGENT] ?? [])];
  const rules = agent.name === DEFAULT_AGENT ? ofWorker : agent.permission;
  return tools((tool, host) => decideOwn(own, tool) ?? decide(rules, host));
}

/**
 * Tools that a job has not because of the agent that starts it: what that agent is forbidden by name. "Nothing but
 * these" (`"*": "deny"`) is how a user makes an agent that only delegates, so it is not passed on; in the rules of a
 * session it is, as the host's own `task` does.
 */
export function forbiddenByOrchestrator(agent: HostAgent, session: readonly Rule[], user: UserRules): string[] {
  const named = agent.permission.filter(isNamed);
  return tools(
    (tool, host) =>
      decideOwn(session, tool) ??
      decideOwn(ownRules(agent.name, user), tool) ??
      (decide([...agent.permission, ...session], host) && decide([...named, ...session], host)),
  );
}

/** Denials of single commands or files. They are about the user's machine, and nobody keeps them in a sandbox. */
export function notHeldInSandbox(agent: string, user: UserRules): string[] {
  const hosts = new Set(Object.values(STANDS_FOR));
  return ownRules(agent, user)
    .filter(
      ({ permission, pattern, action }) => action === "deny" && hosts.has(permission) && !matchesAnything(pattern),
    )
    .map(({ permission, pattern }) => `${permission} "${pattern}"`);
}

const ownRules = (agent: string, { all, agents }: UserRules): readonly Rule[] => [...all, ...(agents[agent] ?? [])];

const tools = (isForbidden: (tool: string, host: string | null) => boolean): string[] =>
  Object.entries(STANDS_FOR).flatMap(([tool, host]) => (isForbidden(tool, host) ? [tool] : []));

/** Whether the rules forbid a tool of ours by its own name; null when they do not speak of it. */
function decideOwn(rules: readonly Rule[], tool: string): boolean | null {
  const rule = rules.findLast((one) => isNamed(one) && applies(one, tool));
  return rule ? rule.action === "deny" : null;
}

const decide = (rules: readonly Rule[], host: string | null): boolean =>
  host !== null && rules.findLast((rule) => applies(rule, host))?.action === "deny";

/** Whether a rule speaks of all that a tool may do, not only of single commands or files. */
const applies = ({ permission, pattern }: Rule, tool: string): boolean =>
  toExpression(permission).test(tool) && matchesAnything(pattern);

const isNamed = ({ permission }: Rule): boolean => !matchesAnything(permission);

/** A character that nobody has in a name, a path or a command. */
const PROBE = "\u{10fffd}";

const matchesAnything = (pattern: string): boolean => toExpression(pattern).test(PROBE);

/** @source OpenCode 1.18.33: `*` stands for any text, `?` for one character */
const toExpression = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*/g, ".*")
      .replace(/\?/g, ".")}$`,
    "su",
  );
