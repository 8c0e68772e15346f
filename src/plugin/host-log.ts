import type { PluginInput } from "@opencode-ai/plugin";
import type { Log } from "../shared/log.ts";

/** Our lines in OpenCode's own log; the console would draw over the terminal UI. */
export const hostLog =
  (client: PluginInput["client"]): Log =>
  (level, message, fields = {}) => {
    const body = { service: "parallel-agents", level, message, extra: fields };
    // A failing log call must not fail the job that logs.
    void client.app.log({ body }).catch(() => {});
  };
