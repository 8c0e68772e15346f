import type { TuiPluginModule } from "@opencode-ai/plugin/tui";
import { createRoot } from "solid-js";
import { systemClock } from "../shared/clock.ts";
import { registerAttention } from "./attention.ts";
import { registerBottomLine } from "./bottom-line.ts";
import { registerCounter } from "./counter.ts";
import { registerDashboard } from "./dashboard-command.ts";
import { registerFullView } from "./full-view/register.ts";
import { registerHomeLine } from "./home-line.ts";
import { registerJobKeys } from "./job-keys.ts";
import { createLabSource } from "./lab-source.ts";
import { registerLeaveQuestion } from "./leave-question.ts";
import { registerSidebar } from "./sidebar.ts";
import { findStateDir } from "./state-dir.ts";
import { registerTyping } from "./typing.ts";
import { createUi } from "./ui.ts";

/** The part of the plugin that runs in OpenCode's terminal UI. */
const plugin: TuiPluginModule = {
  id: "opencode-parallel-agents",
  async tui(api, options, meta) {
    const stateDirOf = () => findStateDir(api.state, meta, options, process.env);
    const openLab = async () => {
      const stateDir = await stateDirOf();
      if (stateDir === null) throw new Error("the options are not valid");
      const lab = await import("../lab/open-lab.ts");
      return await lab.openLab({ stateDir, clock: systemClock });
    };
    createRoot((dispose) => {
      const source = createLabSource(openLab);
      const ui = createUi(api, source, systemClock);
      for (const register of [
        registerSidebar,
        registerCounter,
        registerBottomLine,
        registerJobKeys,
        registerHomeLine,
        registerFullView,
        registerAttention,
        registerTyping,
      ])
        register(ui);
      registerLeaveQuestion(ui, process.argv);
      registerDashboard(ui, stateDirOf);
      api.lifecycle.onDispose(() => {
        source.close();
        dispose();
      });
    });
  },
};

export default plugin;
