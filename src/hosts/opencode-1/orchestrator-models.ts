import type { ToolCall } from "../../tools/tool.ts";
import type { HostClient } from "./host-client.ts";

export interface ModelRef {
  readonly providerID: string;
  readonly modelID: string;
  readonly variant?: string | undefined;
}

export interface OrchestratorModel {
  /** `provider/model`; null when OpenCode does not say. */
  readonly model: string | null;
  readonly variant: string | null;
}

/** The model of each session and its variant: by default its jobs run on the same. */
export interface OrchestratorModels {
  learn(sessionID: string, model: ModelRef): void;
  of(context: Pick<ToolCall, "sessionID" | "messageID">): Promise<OrchestratorModel>;
}

export function createOrchestratorModels(client: HostClient): OrchestratorModels {
  const known = new Map<string, OrchestratorModel>();
  const learn = (sessionID: string, { providerID, modelID, variant }: ModelRef) => {
    known.set(sessionID, { model: `${providerID}/${modelID}`, variant: variant ?? null });
  };
  return {
    learn,
    async of({ sessionID, messageID }) {
      // After a reload only the former instance heard the message that started this turn.
      if (!known.has(sessionID)) {
        const { data } = await client.session.message({ sessionID, messageID });
        if (data?.info.role === "assistant") learn(sessionID, data.info);
      }
      return known.get(sessionID) ?? { model: null, variant: null };
    },
  };
}
