import type { Matrix } from "./matrix.ts";
import type { Direction } from "./run-task.ts";

/** What a task says that is a command, after its types have been checked. */
export interface RunWishes {
  readonly command?: string | undefined;
  readonly matrix?: Matrix | undefined;
  readonly metrics?: Readonly<Record<string, string>> | undefined;
  readonly files?: readonly string[] | undefined;
  readonly reuse?: boolean | undefined;
  readonly stop?: StopWish | undefined;
}

export interface StopWish {
  readonly metric: string;
  readonly direction: Direction;
  readonly rungs: readonly number[];
  readonly keep?: number | undefined;
}
