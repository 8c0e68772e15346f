import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface SourceFile {
  /** Relative to the repository, e.g. `src/jobs/core/job.ts`. */
  readonly path: string;
  readonly text: string;
}

const ROOT = join(import.meta.dirname, "../../..");

/** Every TypeScript file of `src`. */
export const sourceFiles = (): SourceFile[] =>
  readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => ({ path: `src/${path}`, text: readFileSync(join(ROOT, "src", path), "utf8") }));

/** Whether `path` is `place` or inside it; places are relative to `src`, without an ending for single files. */
export const isIn = (path: string, place: string): boolean =>
  path === `src/${place}` || path === `src/${place}.ts` || path.startsWith(`src/${place}/`);
