import type { PluginModule } from "@opencode-ai/plugin";
import { server } from "./hosts/opencode-1/server.ts";

export default { id: "parallel-agents", server } satisfies PluginModule;
