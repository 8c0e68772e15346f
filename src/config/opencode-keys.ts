/** Keys of OpenCode's own configuration, which are pasted among the plugin's options by mistake. */
export const OPENCODE_KEYS = [
  "agent",
  "attachment",
  "autoshare",
  "autoupdate",
  "command",
  "compaction",
  "default_agent",
  "disabled_providers",
  "enabled_providers",
  "enterprise",
  "experimental",
  "formatter",
  "instructions",
  "layout",
  "logLevel",
  "lsp",
  "mcp",
  "mode",
  "model",
  "permission",
  "plugin",
  "provider",
  "reference",
  "references",
  "server",
  "share",
  "shell",
  "skills",
  "small_model",
  "snapshot",
  "subagent_depth",
  "tool_output",
  "tools",
  "username",
  "watcher",
] as const;

/**
 * What to say of an option that is meant for OpenCode itself; undefined if it is not.
 * @param value what it is set to: `provider` is an option of both, and only OpenCode's is an object
 */
export function hintOnOpencodeKey(path: readonly string[], value: unknown): string | undefined {
  const [key, ...below] = path;
  if (below.length > 0 || !(OPENCODE_KEYS as readonly (string | undefined)[]).includes(key)) return undefined;
  if (key === "provider" && typeof value !== "object") return undefined;
  const what = key === "plugin" ? "The plugin's entry" : "A key of OpenCode itself";
  return `${what} belongs in opencode.json. Here stand the plugin's options alone, as in { "maxRunningJobs": 4 }`;
}
