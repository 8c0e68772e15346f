/** A task's `from` takes ids and labels, so a label must not look like an id. */
const LIKE_AN_ID = /^(?:im-|sb-|snap_|job_|ses_)/i;

/** Words models write for "no snapshot". As a label such a word would give this job's files to all those tasks. */
const LIKE_NOTHING = /^(?:none|null|nil|undefined|false|default)$/i;

/** What is wrong with a label for a snapshot; null = nothing. */
export function labelProblem(label: string): string | null {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(label))
    return "English letters, digits, '.', '_' and '-', the first a letter or digit, at most 64 characters";
  if (LIKE_AN_ID.test(label)) return "it looks like an id; choose another name";
  if (LIKE_NOTHING.test(label)) return "it stands for no snapshot; choose another name";
  return null;
}
