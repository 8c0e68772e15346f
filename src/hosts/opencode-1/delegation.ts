import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import type { HostAgents } from "./host-agents.ts";
import { type HostClient, readSession } from "./host-client.ts";
import { isHidden } from "./permission-rules.ts";

interface MessageInfo {
  readonly role: string;
  readonly sessionID: string;
  readonly agent?: string;
  /** What a client has switched off for this message. */
  readonly tools?: Readonly<Record<string, boolean>>;
}

/** Whether a session's model is offered the tools for delegating. */
export interface Delegation {
  /** Takes in the messages of a model request. Before every request of a conversation OpenCode shows them to plugins. */
  learn(messages: readonly { readonly info: MessageInfo }[]): void;
  /** Whether the request that follows these messages offers `agents_start`. */
  isOffered(sessionID: string): Promise<boolean>;
  /**
   * The session as it was when its model was last asked, whose rules OpenCode goes by until the model is asked again.
   * @throws PluginError `not_found`
   */
  askedAs(sessionID: string): Promise<HostSession>;
  forget(sessionID: string): void;
}

type HostSession = Awaited<ReturnType<typeof readSession>>;

/** The tool whose calls make sessions of jobs. */
export const STARTING = "agents_start";

export function createDelegation(client: Pick<HostClient, "session">, agents: HostAgents): Delegation {
  const asked = new Map<string, { readonly agent: string | undefined; readonly isOff: boolean }>();
  const sessions = new PromiseCache<string, HostSession>();
  const read = (sessionID: string) => sessions.getOrMake(sessionID, () => readSession(client, sessionID));
  return {
    learn(messages) {
      const info = messages.findLast((message) => message.info.role === "user")?.info;
      if (!info) return;
      sessions.delete(info.sessionID);
      asked.set(info.sessionID, { agent: info.agent, isOff: info.tools?.[STARTING] === false });
    },
    async isOffered(sessionID) {
      const { agent: name, isOff = false } = asked.get(sessionID) ?? {};
      if (isOff) return false;
      const [all, session] = await Promise.all([agents(), read(sessionID)]);
      const agent = all.find((one) => one.name === (name ?? session.agent));
      return !isHidden([...(agent?.permission ?? []), ...(session.permission ?? [])], STARTING);
    },
    askedAs: read,
    forget: (sessionID) => {
      asked.delete(sessionID);
      sessions.delete(sessionID);
    },
  };
}
