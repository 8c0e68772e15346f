import { oneLine, plainName } from "../shared/plain-text.ts";

export interface LoadedSkill {
  readonly name: string;
  readonly content: string;
  /** Where its files are in the sandbox. */
  readonly folder: string;
  readonly notes: readonly string[];
}

/** A skill for a job's agent, in the system text or as the answer of the tool that loads it. */
export function renderLoadedSkill({ name, content, folder, notes }: LoadedSkill): string {
  const facts = [
    `Its files are in your sandbox at ${folder}. Relative paths in it are relative to that folder.`,
    ...notes.map((note) => oneLine(note, 2_000)),
  ];
  return `# Skill ${plainName(name)}\n${facts.join(" ")}\n\n${content.trim()}`;
}

export const renderSkillFailure = (name: string, why: string): string =>
  `Could not load the skill ${plainName(name)}: ${oneLine(why, 1_000)}. Go on without it, and say so at the end.`;
