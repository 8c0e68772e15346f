import { wildcard } from "../shared/wildcard.ts";

/** A rule of the user's for what a tool of a job is used on: a path relative to the working directory, or a name. */
export interface SubjectRule {
  readonly tool: string;
  readonly pattern: string;
  readonly isDenial: boolean;
}

/** Whether the last of the rules that match forbids the tool this use. */
export const isDenied = (rules: readonly SubjectRule[], tool: string, subject: string): boolean =>
  rules.findLast((rule) => rule.tool === tool && wildcard(rule.pattern).test(subject))?.isDenial ?? false;
