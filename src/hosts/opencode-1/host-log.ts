import type { PluginInput } from "@opencode-ai/plugin";
import type { Log } from "../../shared/log.ts";
import { oneLine } from "../../shared/plain-text.ts";

/** Writes to OpenCode's own log; the console would draw over the terminal UI. */
export const hostLog =
  (client: PluginInput["client"]): Log =>
  (level, message, fields = {}) => {
    const body = { service: "parallel-agents", level, message, extra: onOneLine(fields) };
    // A failing log call must not fail the job that logs.
    void client.app.log({ body }).catch(() => {});
  };

/** A reason may quote a job, which must not begin a line of the log. */
const onOneLine = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "string" ? oneLine(value, 2_000) : value]),
  );
