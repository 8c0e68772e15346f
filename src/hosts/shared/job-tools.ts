import { NESTED_TOOLS } from "../../core/nested-runs.ts";

/** Tools that work only inside a job. Hosts hide them from all other sessions. */
export const JOB_ONLY_TOOLS = [
  "sandbox_exec",
  "sandbox_process",
  "sandbox_read",
  "sandbox_write",
  "sandbox_edit",
  "job_report",
];

/**
 * Tools that a job's model is shown, and nothing else. By full name: a pattern such as `sandbox_*` would also show it
 * what other plugins and MCP servers call so.
 */
export const JOB_TOOLS = [...JOB_ONLY_TOOLS, "sandbox_snapshot", "skill", ...NESTED_TOOLS];
