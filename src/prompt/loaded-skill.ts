import { oneLine, plainName } from "../shared/plain-text.ts";

export interface LoadedSkill {
  readonly name: string;
  readonly content: string;
  /** Absolute path of its folder on the user's machine, which the content may name. */
  readonly hostFolder: string;
  /** Where its files are in the sandbox. */
  readonly folder: string;
  readonly notes: readonly string[];
}

/** A skill for a job's agent, in the system text or as the answer of the tool that loads it. */
export function renderLoadedSkill({ name, content, hostFolder, folder, notes }: LoadedSkill): string {
  const facts = [
    `Its files are in your sandbox at ${folder}. Relative paths in it are relative to that folder.`,
    ...notes.map((note) => oneLine(note, 2_000)),
  ];
  return `# Skill ${plainName(name)}\n${facts.join(" ")}\n\n${moved(content.trim(), hostFolder, folder)}`;
}

/** The text with the paths of one folder turned into those of another. */
function moved(text: string, from: string, to: string): string {
  const path = from.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text.replace(new RegExp(`(?:file://)?${path}(?![\\w.-])`, "gu"), () => to);
}

export const renderSkillFailure = (name: string, why: string): string =>
  `Could not load the skill ${plainName(name)}: ${oneLine(why, 1_000)}. Go on without it, and say so at the end.`;
