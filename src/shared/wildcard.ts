/** A pattern of OpenCode's permissions: `*` matches any text, `?` one character. @source OpenCode 1.18.33 */
export const wildcard = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*/g, ".*")
      .replace(/\?/g, ".")}$`,
    "su",
  );
