import type { TuiPluginModule } from "@opencode-ai/plugin/tui";

/** The part of the plugin that runs in OpenCode's terminal UI. */
const plugin: TuiPluginModule = {
  id: "opencode-parallel-agents",
  async tui() {},
};

export default plugin;
