import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface SourceFile {
  /** Relative to the repository, e.g. `src/core/job.ts`. */
  readonly path: string;
  readonly text: string;
}

const ROOT = join(import.meta.dirname, "../../..");

/** Every TypeScript file of `src`. */
export const sourceFiles = (): SourceFile[] => filesOf("src");

/** Every TypeScript file of `test`. */
export const testFiles = (): SourceFile[] => filesOf("test");

const filesOf = (folder: "src" | "test"): SourceFile[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => ({ path: `${folder}/${path}`, text: readFileSync(join(ROOT, folder, path), "utf8") }));

/** Whether `path` is `place` or inside it. Places are relative to `src`; a single file has no extension. */
export const isIn = (path: string, place: string): boolean =>
  path === `src/${place}` || path === `src/${place}.ts` || path.startsWith(`src/${place}/`);
