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
  forget(sessionID: string): void;
}

const TOOL = "agents_start";

export function createDelegation(client: Pick<HostClient, "session">, agents: HostAgents): Delegation {
  const asked = new Map<string, { readonly agent: string | undefined; readonly isOff: boolean }>();
  return {
    learn(messages) {
      const info = messages.findLast((message) => message.info.role === "user")?.info;
      if (info) asked.set(info.sessionID, { agent: info.agent, isOff: info.tools?.[TOOL] === false });
    },
    async isOffered(sessionID) {
      const { agent: name, isOff = false } = asked.get(sessionID) ?? {};
      if (isOff) return false;
      const [all, session] = await Promise.all([agents(), readSession(client, sessionID)]);
      const agent = all.find((one) => one.name === (name ?? session.agent));
      return !isHidden([...(agent?.permission ?? []), ...(session.permission ?? [])], TOOL);
    },
    forget: (sessionID) => {
      asked.delete(sessionID);
    },
  };
}
