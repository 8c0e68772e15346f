import type { ParseError } from "jsonc-parser";
import { isObject, type Layer } from "./layers.ts";
import { type ConfigProblem, toProblem } from "./problems.ts";

export type ConfigFile =
  | { readonly kind: "absent" }
  | { readonly kind: "read"; readonly layer: Layer }
  | { readonly kind: "invalid"; readonly problem: ConfigProblem };

/** Reads one file of options: JSON with comments and trailing commas. `$schema` at its top is for editors. */
export async function readConfigFile(path: string, readFile: (path: string) => Promise<string>): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readFile(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    return refused(path, `a file that cannot be read (${code ?? "unknown error"})`, "a readable file, or none");
  }
  // Loaded only where a file exists: most users have none, and start-up is felt.
  const { parseTree, getNodeValue, printParseErrorCode } = await import("jsonc-parser");
  const source = text.replace(/^\uFEFF/, "");
  const errors: ParseError[] = [];
  const tree = parseTree(source, errors, { allowTrailingComma: true, allowEmptyContent: true });
  const first = errors[0];
  if (first !== undefined) {
    const before = source.slice(0, first.offset).split("\n");
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    const what = printParseErrorCode(first.error)
      .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
      .toLowerCase();
    return refused(path, `a syntax error at ${place} (${what})`, "JSON; comments and trailing commas may be in it");
  }
  const value: unknown = tree === undefined ? {} : getNodeValue(tree);
  if (!isObject(value)) return refused(path, "no object", "an object of options");
  const { $schema: _forEditors, ...options } = value;
  return { kind: "read", layer: { source: path, value: options } };
}

const refused = (path: string, found: string, allowed: string): ConfigFile => ({
  kind: "invalid",
  problem: toProblem("options", path, found, allowed),
});

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
