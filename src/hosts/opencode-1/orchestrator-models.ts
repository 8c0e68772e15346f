import type { ToolCall } from "../../tools/tool.ts";
import type { HostClient } from "./host-client.ts";

export interface ModelRef {
  readonly providerID: string;
  readonly modelID: string;
}

/** The model of each session: by default its jobs run on the same one. */
export interface OrchestratorModels {
  learn(sessionID: string, model: ModelRef): void;
  of(context: Pick<ToolCall, "sessionID" | "messageID">): Promise<string | null>;
}

export function createOrchestratorModels(client: HostClient): OrchestratorModels {
  const known = new Map<string, string>();
  const learn = (sessionID: string, { providerID, modelID }: ModelRef) => {
    known.set(sessionID, `${providerID}/${modelID}`);
  };
  return {
    learn,
    async of({ sessionID, messageID }) {
      // After a reload only the former instance heard the message that started this turn.
      if (!known.has(sessionID)) {
        const { data } = await client.session.message({ sessionID, messageID });
        if (data?.info.role === "assistant") learn(sessionID, data.info);
      }
      return known.get(sessionID) ?? null;
    },
  };
}
