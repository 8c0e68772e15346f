import { z } from "zod";
import { inQuotes } from "../shared/plain-text.ts";
import { type Layer, sourceOf, valueAt } from "./layers.ts";
import { hintOnOpencodeKey } from "./opencode-keys.ts";
import { optionsSchema } from "./schema.ts";
import { closest } from "./spelling.ts";

/** A mistake in the options, described so that the user can fix it. Contains no secrets. */
export interface ConfigProblem {
  /** Dotted, e.g. `environments.big.gpu`; `options` for the whole. */
  readonly key: string;
  /** Source of the value: a file's path, or "opencode.json". */
  readonly source: string;
  readonly found: string;
  readonly allowed: string;
  /** All of it in one sentence. */
  readonly message: string;
}

/** Keys whose values, including everything below them, may contain secrets. */
const HIDDEN = new Set(["env", "hostEnv", "secrets", "secret", "endpointUrl", "setup", "image"]);

export function toProblem(key: string, source: string, found: string, allowed: string): ConfigProblem {
  return { key, source, found, allowed, message: `${key} in ${source}: found ${found}; allowed: ${allowed}.` };
}

/** The mistakes that the schema found in the merged options. */
export const findProblems = (
  error: z.ZodError | undefined,
  merged: unknown,
  layers: readonly Layer[],
): ConfigProblem[] => (error?.issues ?? []).flatMap((issue) => issueProblems(issue, merged, layers));

function issueProblems(issue: z.core.$ZodIssue, merged: unknown, layers: readonly Layer[]): ConfigProblem[] {
  const path = issue.path.map(String);
  const source = sourceOf(layers, path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) =>
      unknownKey([...path, key], sourceOf(layers, [...path, key]), valueAt(merged, [...path, key])),
    );
  }
  if (issue.code === "invalid_key") {
    return [toProblem(toKey(path), source, "a name that is not allowed", issue.issues[0]?.message ?? "another name")];
  }
  const value = valueAt(merged, path);
  const hint = hintOnOpencodeKey(path, value);
  const allowed = hint === undefined ? issue.message : `${issue.message}. ${hint}`;
  return [toProblem(toKey(path), source, describe(value, path), allowed)];
}

function unknownKey(path: readonly string[], source: string, value: unknown): ConfigProblem {
  const name = path.at(-1) ?? "";
  const siblings = schemasAt(optionsSchema, path.slice(0, -1)).flatMap(keysOf);
  const meant =
    closest(name, siblings) ??
    optionPaths().find((known) => known.split(".").at(-1)?.toLowerCase() === name.toLowerCase());
  const isDotted = optionPaths().includes(name); // as documents write what is nested
  const suggestion = meant === undefined ? "" : `Did you mean ${quote(meant)}?`;
  const hint = isDotted ? `Write it nested: ${nested(name)}` : (hintOnOpencodeKey(path, value) ?? suggestion);
  const allowed = [siblings.join(", "), hint].filter(Boolean).join(". ");
  // The value is not shown: under a misspelt key it may be anything, even a secret.
  const problem = toProblem(toKey(path), source, "an unknown key", allowed);
  return hint.endsWith("?") ? { ...problem, message: problem.message.replace(/\.$/, "") } : problem;
}

const nested = (path: string): string =>
  path.split(".").reduceRight((inner, key) => `{ ${quote(key)}: ${inner} }`, "…");

function toKey(path: readonly string[]): string {
  const shown = path.map((part, depth) => {
    // Where `TOKEN=value` was pasted in place of a name, it must not appear in a message.
    const secret = path[depth - 1] === "env" && !/^\w{1,64}$/.test(part);
    return secret ? "(not a name)" : /^[\w./+:-]+$/.test(part) ? shorten(part) : quote(part);
  });
  return shown.join(".") || "options";
}

function describe(value: unknown, path: readonly string[]): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return `a ${typeof value}`;
  return path.some((key) => HIDDEN.has(key)) ? "text that is not shown because it may be secret" : quote(value);
}

const quote = (text: string): string => inQuotes(text, 60);
const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 57)}…` : text);

/** The schemas for the value at `path`; none if the path is unknown. */
function schemasAt(schema: z.core.$ZodType, path: readonly string[]): z.core.$ZodType[] {
  const [key, ...rest] = path;
  if (key === undefined) return [schema];
  return unwrap(schema).flatMap((inner) => {
    if (inner instanceof z.ZodRecord) return schemasAt(inner.valueType, rest);
    if (!(inner instanceof z.ZodObject)) return [];
    const next = Object.hasOwn(inner.shape, key) ? inner.shape[key] : undefined;
    return next === undefined ? [] : schemasAt(next, rest);
  });
}

const keysOf = (schema: z.core.$ZodType): string[] =>
  unwrap(schema).flatMap((inner) => (inner instanceof z.ZodObject ? Object.keys(inner.shape) : []));

/** The schema without its wrappers for defaults, null and transforms; for a union every alternative. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional
  ) {
    return unwrap(schema.def.innerType);
  }
  if (schema instanceof z.ZodPipe) return unwrap(schema.def.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(unwrap);
  return [schema];
}

/** Dotted paths of all options, to suggest one for a key at the wrong level. */
function optionPaths(): string[] {
  const nested = keysOf(optionsSchema).flatMap((key) =>
    schemasAt(optionsSchema, [key])
      .flatMap(keysOf)
      .map((inner) => `${key}.${inner}`),
  );
  const environment = schemasAt(optionsSchema, ["environments", "default"]).flatMap(keysOf);
  return [...keysOf(optionsSchema), ...nested, ...environment.map((key) => `environments.default.${key}`)];
}
