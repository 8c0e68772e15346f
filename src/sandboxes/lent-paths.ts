export interface LentPaths {
  readonly lent: readonly LentPath[];
  /** On PATH, or named by the user, but not lent. */
  readonly refused: readonly LentPath[];
}

/** A path of this machine that is lent to sandboxes or refused. */
export interface LentPath {
  readonly path: string;
  /** The reason in a few words: "program on PATH", "it holds the home directory". */
  readonly why: string;
}
