import { createHash } from "node:crypto";
import type { Node, ParseError } from "jsonc-parser";
import { type HostFiles, RefusedFile } from "./host-files.ts";
import { isObject, type Layer } from "./layers.ts";
import { type ConfigProblem, toProblem } from "./problems.ts";

export type ConfigFile =
  | { readonly kind: "absent" }
  /** `sha256`: of the file's bytes, hexadecimal. */
  | { readonly kind: "read"; readonly layer: Layer; readonly sha256: string }
  | { readonly kind: "invalid"; readonly problem: ConfigProblem };

/** Options are four levels deep. Extreme nesting would overflow the stack of recursive functions. */
const MAX_DEPTH = 64;

/** Reads a file of options: JSON with comments and trailing commas. `$schema` at the top level is for editors and ignored. */
export async function readConfigFile(path: string, files: Pick<HostFiles, "read">): Promise<ConfigFile> {
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path);
  } catch (error) {
    if (error instanceof RefusedFile) return refused(path, error.message, "a plain file, or none");
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    return refused(path, `a file that cannot be read (${code ?? "unknown error"})`, "a readable file, or none");
  }
  const source = new TextDecoder().decode(bytes); // drops a byte order mark
  // Loaded only if a file exists: most users have none, and loading takes time at start-up.
  const { createScanner, parseTree, printParseErrorCode } = await import("jsonc-parser");
  const scanner = createScanner(source, true);
  for (let depth = 0; scanner.getPosition() < source.length; ) {
    scanner.scan();
    const character = source[scanner.getTokenOffset()] ?? "";
    depth += "{[".includes(character) ? 1 : "}]".includes(character) ? -1 : 0;
    if (depth > MAX_DEPTH)
      return refused(path, `more than ${MAX_DEPTH} levels of nesting`, "options as the documentation shows them");
  }
  const errors: ParseError[] = [];
  const tree = parseTree(source, errors, { allowTrailingComma: true, allowEmptyContent: true });
  const first = errors[0];
  if (first !== undefined) {
    const before = source.slice(0, first.offset).split("\n");
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    const what = printParseErrorCode(first.error)
      .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
      .toLowerCase();
    return refused(path, `a syntax error at ${place} (${what})`, "JSON, with comments and trailing commas");
  }
  const value = tree === undefined ? {} : toValue(tree);
  if (!isObject(value)) return refused(path, "something other than an object", "an object of options");
  const { $schema: _forEditors, ...options } = value;
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { kind: "read", layer: { source: path, value: options }, sha256 };
}

/** In place of the parser's own function, with which a key `__proto__` sets the prototype and disappears. */
function toValue({ type, value, children = [] }: Node): unknown {
  if (type === "array") return children.map(toValue);
  if (type !== "object") return value;
  return Object.fromEntries(
    children.map(({ children: [key, content] = [] }) => [key?.value, content && toValue(content)]),
  );
}

const refused = (path: string, found: string, allowed: string): ConfigFile => ({
  kind: "invalid",
  problem: toProblem("options", path, found, allowed),
});

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
