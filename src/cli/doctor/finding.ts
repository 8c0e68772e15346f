/** `warning`: something works less well, or not as the user may expect. `fault`: jobs cannot run as they are meant to. */
export type Level = "ok" | "warning" | "fault";

export interface Finding {
  /** What was looked at, for programs. */
  readonly name: string;
  readonly level: Level;
  /** What was found and what that means, in sentences. */
  readonly meaning: string;
  readonly remedy?: string;
}

export const ok = (name: string, meaning: string): Finding => ({ name, level: "ok", meaning });
export const warning = (name: string, meaning: string, remedy: string): Finding => ({
  name,
  level: "warning",
  meaning,
  remedy,
});
export const fault = (name: string, meaning: string, remedy: string): Finding => ({
  name,
  level: "fault",
  meaning,
  remedy,
});

/** A remedy. The command is on nobody's PATH, and only in a checkout does npx find it without asking the registry. */
export const RUN_GC = "Run in the plugin's folder: npx opencode-parallel-agents gc";

export interface Diagnosis {
  /** Whether there is no fault. */
  readonly ok: boolean;
  /** Faults first, then warnings. */
  readonly findings: readonly Finding[];
}
