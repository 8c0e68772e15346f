/** Access to the project's working tree: the user's repository, or a plain folder. */
export interface TreeReader {
  /** Whether the project is no repository, so that every file in it is untracked. */
  readonly isPlainFolder: boolean;
  /** Runs git in the project ("") or in a nested repository (its path, with a trailing slash) and returns the output. */
  git(below: string, args: readonly string[], input?: Uint8Array): Promise<Buffer>;
  /** Files below a folder that git does not ignore, as if it tracked none. @param below of the repository, as in `git` */
  filesIn(below: string, folder: string): Promise<Buffer>;
  /** Absolute, as bytes. */
  absolute(path: string): Buffer;
}
