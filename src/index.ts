import type { PluginModule } from "@opencode-ai/plugin";
import { server } from "./plugin/server.ts";

export default { id: "parallel-agents", server } satisfies PluginModule;
