import { GPU_OF_RUNS } from "../../core/nested-runs.ts";
import type { SubjectRule } from "../../core/subject-rules.ts";
import { DEFAULT_AGENT } from "../../core/task.ts";
import { wildcard } from "../../shared/wildcard.ts";

/*
 * What the user forbids to an agent is forbidden to its jobs. OpenCode's rules name OpenCode's tools, and the last
 * matching rule decides; each tool of a job stands for one of them.
 */

export interface PermissionRule {
  readonly permission: string;
  readonly pattern: string;
  readonly action: "allow" | "ask" | "deny";
}

/** Rules as the user wrote them, without ours: for all agents, and for single ones. */
export interface UserRules {
  readonly all: readonly PermissionRule[];
  readonly agents: Readonly<Record<string, readonly PermissionRule[]>>;
}

export interface HostAgent {
  readonly name: string;
  /** As OpenCode resolved them: its defaults, the user's rules, and ours. */
  readonly permission: readonly PermissionRule[];
}

/** The OpenCode permission that governs each tool of a job; null where OpenCode has no such tool. */
const STANDS_FOR: Readonly<Record<string, string | null>> = {
  sandbox_exec: "bash",
  sandbox_process: "bash",
  sandbox_read: "read",
  sandbox_write: "edit",
  sandbox_edit: "edit",
  skill: "skill",
  sandbox_snapshot: null,
  job_report: null,
  agents_start: null,
  agents_wait: null,
  agents_status: null,
  [GPU_OF_RUNS]: null,
};

/** What a rule that wants a question forbids to jobs, in which nobody answers. */
const NEVER_ASKED: ReadonlySet<string> = new Set(["agents_start", GPU_OF_RUNS]);

/** Rules of a configured permission: one action for everything, or actions by name and pattern. */
export function toRules(permission: unknown): PermissionRule[] {
  if (typeof permission === "string")
    return [{ permission: "*", pattern: "*", action: permission as PermissionRule["action"] }];
  return Object.entries((permission ?? {}) as Record<string, unknown>).flatMap(([name, value]) =>
    (typeof value === "string" ? [["*", value] as const] : Object.entries((value ?? {}) as object)).map(
      ([pattern, action]): PermissionRule => ({
        permission: name,
        pattern,
        action: action as PermissionRule["action"],
      }),
    ),
  );
}

/** Tools that jobs of this agent do not get. */
export function forbiddenToJobsOf(agent: HostAgent, user: UserRules): string[] {
  const own = ownRules(agent.name, user);
  // OpenCode's rules for our own worker include ours, which forbid everything but the sandbox, so only the user's count.
  // A user's `"*": "deny"` for all agents does not mean the worker.
  const ofWorker = [...user.all.filter(isNamed), ...(user.agents[DEFAULT_AGENT] ?? [])];
  const rules = agent.name === DEFAULT_AGENT ? ofWorker : agent.permission;
  return tools((tool, host) => decideOwn(own, tool) ?? decide(rules, host));
}

/**
 * Tools that jobs do not get because of the agent that starts them: what that agent is forbidden by name. A `"*": "deny"`
 * of the agent is not passed on, because that is how a user makes an agent that only delegates. One of the session is,
 * as OpenCode's own `task` does.
 */
export function forbiddenByOrchestrator(
  agent: HostAgent,
  session: readonly PermissionRule[],
  user: UserRules,
): string[] {
  const named = agent.permission.filter(isNamed);
  return tools(
    (tool, host) =>
      decideOwn(session, tool) ??
      decideOwn(ownRules(agent.name, user), tool) ??
      (decide([...agent.permission, ...session], host) && decide([...named, ...session], host)),
  );
}

/** What each of these tools is used on is known before it acts: a path, or a skill's name. */
const WITH_SUBJECT = ["sandbox_read", "sandbox_write", "sandbox_edit", "skill"];

/** The user's rules for single files and skills, where some are denied to the agent. They hold in its jobs' sandboxes. */
export function rulesOnSubjects(agent: string, user: UserRules): SubjectRule[] {
  const rules = ownRules(agent, user);
  return WITH_SUBJECT.flatMap((tool) => {
    const host = STANDS_FOR[tool] ?? tool;
    const ofTool = rules.filter(({ permission }) => wildcard(permission).test(host) || wildcard(permission).test(tool));
    const deniesSome = ofTool.some((rule) => isNamed(rule) && rule.action === "deny" && !matchesAnything(rule.pattern));
    return deniesSome
      ? ofTool.map(({ pattern, action }): SubjectRule => ({ tool, pattern, isDenial: action === "deny" }))
      : [];
  });
}

/** Denials of single commands. They are about the user's machine, and nothing enforces them in a sandbox. */
export function notHeldInSandbox(agent: string, user: UserRules): string[] {
  const ofCommands = (permission: string) =>
    ["bash", "sandbox_exec"].some((tool) => wildcard(permission).test(tool)) && !matchesAnything(permission);
  return ownRules(agent, user)
    .filter(
      ({ permission, pattern, action }) => action === "deny" && ofCommands(permission) && !matchesAnything(pattern),
    )
    .map(({ permission, pattern }) => `${permission} "${pattern}"`);
}

/**
 * Whether OpenCode leaves the tool out of a request: the last rule that names it denies all of its uses.
 * @source OpenCode 1.18.33
 */
export function isHidden(rules: readonly PermissionRule[], tool: string): boolean {
  const rule = rules.findLast(({ permission }) => wildcard(permission).test(tool));
  return rule?.pattern === "*" && rule.action === "deny";
}

const ownRules = (agent: string, { all, agents }: UserRules): readonly PermissionRule[] => [
  ...all,
  ...(agents[agent] ?? []),
];

function tools(isForbidden: (tool: string, host: string | null) => boolean): string[] {
  const forbidden = Object.entries(STANDS_FOR).flatMap(([tool, host]) => (isForbidden(tool, host) ? [tool] : []));
  // A job starts commands only.
  return forbidden.includes("sandbox_exec") ? [...new Set([...forbidden, "agents_start"])] : forbidden;
}

/** Whether the rules forbid one of our tools by its own name; null when none names it. */
function decideOwn(rules: readonly PermissionRule[], tool: string): boolean | null {
  const rule = rules.findLast((one) => isNamed(one) && (applies(one, tool) || limitsGpus(one, tool)));
  if (!rule) return null;
  return NEVER_ASKED.has(tool) ? rule.action !== "allow" : rule.action === "deny";
}

/** Whether a rule limits some GPUs: then a job's runs get none that the user did not allow without exception. */
const limitsGpus = ({ permission, action }: PermissionRule, tool: string): boolean =>
  tool === GPU_OF_RUNS && action !== "allow" && wildcard(permission).test(tool);

const decide = (rules: readonly PermissionRule[], host: string | null): boolean =>
  host !== null && rules.findLast((rule) => applies(rule, host))?.action === "deny";

/** Whether a rule covers everything a tool may do, not only single commands or files. */
const applies = ({ permission, pattern }: PermissionRule, tool: string): boolean =>
  wildcard(permission).test(tool) && matchesAnything(pattern);

const isNamed = ({ permission }: PermissionRule): boolean => !matchesAnything(permission);

/** A character that occurs in no name, path or command. */
const PROBE = "\u{10fffd}";

const matchesAnything = (pattern: string): boolean => wildcard(pattern).test(PROBE);
