import type { SubjectRule } from "../core/subject-rules.ts";
import { oneLine, plainName } from "../shared/plain-text.ts";

/* Notes that a job gets when it is started. Models and users read them. */

const NAMED_RULES = 5;

/**
 * Which of the user's permission rules hold for a job, and which do not.
 * @param forbidden sandbox tools that the job does not get
 * @param unenforced the user's rules for single commands
 * @param rules the user's rules for single files and skills
 */
export function permissionNotes(
  forbidden: readonly string[],
  unenforced: readonly string[],
  rules: readonly SubjectRule[],
): string[] {
  const without = `It has no ${forbidden.join(", ")}: the user's permissions deny these tools to its agent, or to the agent that started it. To change that, allow them by name.`;
  const ignored = `The user's rules for single commands (${unenforced.slice(0, NAMED_RULES).join(", ")}) hold on the user's machine only: sandboxes do not enforce them.`;
  const denials = [
    ...new Set(rules.filter(({ isDenial }) => isDenial).map(({ pattern }) => `"${oneLine(pattern, 100)}"`)),
  ];
  const held = `Its file tools and skills keep to the user's denials of ${denials.slice(0, NAMED_RULES).join(", ")}; commands are not checked against them.`;
  return [
    ...(forbidden.length > 0 ? [without] : []),
    ...(unenforced.length > 0 ? [ignored] : []),
    ...(denials.length > 0 ? [held] : []),
  ];
}

export const REMOVED_TEXT_NOTE =
  "OpenCode's system text is replaced by another plugin, which removed the job's instructions; they were put back.";

export const unseenImagesNote = (model: string): string =>
  `It was not given the images that are attached to the user's message: its model ${oneLine(model, 200)} takes none.`;

/** @param left names with the reasons, as the rest of a sentence that begins with "it" */
export const instructionsNote = (left: readonly { readonly name: string; readonly why: string }[]): string =>
  `Of the instruction files that OpenCode gives its own agents, it was not given these: ${left.map(({ name, why }) => `${plainName(name)} (it ${why})`).join(", ")}.`;

/** For a job that starts from an image of the user's own. */
export const imageSourceNote = (id: string): string =>
  `Its sandbox is made from the image ${id} in place of its environment's: nothing else of that environment is changed.`;

/** Of a run whose early stopping no other run of its call has. */
export const LONE_STOP_NOTE =
  "Its early stopping compares it with no other run: only runs of one call are compared, of those the ones with the same metric, direction, rungs and keep.";
