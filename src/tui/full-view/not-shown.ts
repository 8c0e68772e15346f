import { type Line, piece } from "../text.ts";

/** What is in the place of something that could not be worked out. */
export const notShown = (what: string, error: unknown): Line => [
  piece(`${what}: not shown (${error instanceof Error ? error.message : error})`, "bad"),
];
