import type { Hooks } from "@opencode-ai/plugin";
import type { Log } from "../../shared/log.ts";
import type { JobMark, JobSessions } from "../shared/job-sessions.ts";
import type { SystemTexts } from "../shared/system-text.ts";
import type { Delegation } from "./delegation.ts";
import type { FirstRequests } from "./first-requests.ts";
import { type HostAgents, isInternal } from "./host-agents.ts";
import { haveTheLastWord } from "./last-word.ts";
import type { ShadowedTools } from "./shadowed-tools.ts";

type SystemTransform = NonNullable<Hooks["experimental.chat.system.transform"]>;

export interface SystemTransformDeps {
  readonly jobSessions: Pick<JobSessions, "jobOf">;
  readonly texts: SystemTexts;
  readonly agents: HostAgents;
  readonly delegation: Pick<Delegation, "isOffered">;
  readonly shadowedTools: Pick<ShadowedTools, "beforeRequest">;
  readonly firstRequests: Pick<FirstRequests, "isSent">;
  readonly log: Log;
}

/**
 * Replaces the system text of a job's session and extends that of any other conversation whose agent may delegate. Both
 * stay within OpenCode's own entry: each further one is sent as a system message of its own, which many servers refuse.
 */
export function createSystemTransform(deps: SystemTransformDeps): SystemTransform {
  const { jobSessions, texts, agents, delegation, shadowedTools, firstRequests, log } = deps;

  /** Titles and summaries are no conversations: they lack OpenCode's block on the environment. */
  async function isConversation(system: readonly string[]): Promise<boolean> {
    if (system.some((text) => text.includes("<env>"))) return true;
    // Another plugin may have replaced the text of a conversation before.
    const prompts = (await agents()).filter(isInternal).flatMap(({ prompt }) => (prompt ? [prompt] : []));
    return !system.some((text) => prompts.some((prompt) => text.includes(prompt)));
  }

  async function forJob(mark: JobMark, system: string[]): Promise<void> {
    const text = await texts.forJob(mark);
    const most = mostEntries(system);
    system.splice(0, system.length, text);
    haveTheLastWord(system, () => {
      if (!isIn(text, system)) {
        system.splice(0, system.length, [text, ...system].join("\n\n"));
        texts.onRemoved(mark);
      }
      fold(system, most);
    });
  }

  async function forOrchestrator(sessionID: string, system: string[]): Promise<void> {
    if (!(await delegation.isOffered(sessionID))) return;
    const block = await texts.forOrchestrator();
    const [first, ...more] = system;
    const most = mostEntries(system);
    system.splice(0, system.length, first ? `${first}\n\n${block}` : block, ...more);
    haveTheLastWord(system, () => fold(system, most));
  }

  return async ({ sessionID }, { system }) => {
    if (!sessionID) return;
    let mark: JobMark | null;
    try {
      if (!(await isConversation(system))) return;
      mark = await jobSessions.jobOf(sessionID);
      if (!mark) await forOrchestrator(sessionID, system);
    } catch (error) {
      // What is thrown here fails the user's own turn. What guards his machine from jobs does not depend on this text.
      log("error", "could not tell an agent how to delegate", { sessionID, reason: String(error) });
      return;
    }
    if (!mark) return;
    await forJob(mark, system);
    shadowedTools.beforeRequest(sessionID);
    firstRequests.isSent(mark.job);
  };
}

/** Entries that OpenCode would send at most. It folds those after the first one, but only where that is unchanged. */
const mostEntries = (system: readonly string[]): number => (system.length === 0 ? 1 : 2);

function fold(system: string[], most: number): void {
  if (system.length > most) system.splice(most - 1, system.length, system.slice(most - 1).join("\n"));
}

/** Characters at both ends of a text by which it is recognised: another plugin may have changed something between. */
const ENDS = 200;

const isIn = (text: string, system: readonly string[]): boolean =>
  system.some((entry) => entry.includes(text.slice(0, ENDS).trim()) && entry.includes(text.slice(-ENDS).trim()));
