import { fromText } from "../paths.ts";
import { inWorkdir } from "./protection.ts";

/** What a benchmark's command names, among the files of a tree. */
export interface NamedByCommand {
  readonly files: readonly string[];
  readonly folders: readonly string[];
}

/** @param folders without a slash at the end */
export function namedByCommand(
  command: string,
  files: ReadonlySet<string>,
  folders: ReadonlySet<string>,
  workdir: string,
): NamedByCommand {
  const words = command.split(/[\s;&|()<>"'`=:,{}$]+/).filter((word) => /[^./~-]/.test(word));
  const all = new Set(words.map((word) => fromText(inWorkdir(word, workdir))));
  // `python -m tools.measure`, and a file named from a folder that the command enters.
  for (const word of words) all.add(fromText(`${word.replaceAll(".", "/")}.py`));
  for (const folder of [...all].filter((one) => folders.has(one)))
    for (const word of words) all.add(`${folder}/${fromText(word)}`);
  return { files: [...all].filter((one) => files.has(one)), folders: [...all].filter((one) => folders.has(one)) };
}

/** Folders that Python code is told to import from, as it is written. */
export const pathsAddedIn = (text: string): readonly string[] =>
  [...text.matchAll(/sys\.path\b[^\n]*?["']([\w./-]{1,200})["']/g)].map(([, path = ""]) => fromText(path));
