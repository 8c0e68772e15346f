/** An attempt to bring a job's files up to date with its project. */
export interface TreeUpdate {
  readonly at: number;
  /** Paths of files that were left with conflict markers. */
  readonly conflicts: readonly string[];
  /** Why the attempt failed and the files are as they were; null = it succeeded. */
  readonly problem: string | null;
}
