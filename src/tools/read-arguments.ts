import type { z } from "zod";
import { quote } from "../sandboxes/shell-quote.ts";
import { oneLine } from "../shared/plain-text.ts";
import { isBlank, isObject, namesElements, renameKeys } from "./argument-names.ts";
import { parseJson } from "./loose-json.ts";
import { fromPairs, isPair } from "./named-values.ts";

/*
 * Arguments as models write them, brought into the form that a tool's schema asks for: `"30"` for 30, `"[\"job_1\"]"` or
 * `"job_1"` for a list, `""` or `null` for an optional argument that is to be left out. Only what has one meaning is
 * changed. Everything else stays as it is, so that the schema refuses it and names it.
 */

type Schema = z.core.$ZodType;

/** The parts of a schema's definition that are read here. */
interface Definition {
  readonly type: string;
  readonly innerType: Schema;
  readonly element: Schema;
  readonly valueType: Schema;
  readonly options: readonly Schema[];
  readonly entries: Readonly<Record<string, string | number>>;
  readonly shape: Readonly<Record<string, Schema>>;
}

/**
 * A tool's arguments, as a model would have written them that keeps to the schema. The only list that a tool takes may be
 * given alone, and so may the only task in it.
 */
export function readArguments(shape: Readonly<Record<string, Schema>>, given: unknown): unknown {
  const parsed = unwrapped(shape, (typeof given === "string" ? parseJson(given) : given) ?? {});
  const lists = Object.entries(shape).filter(([, { _zod }]) => _zod.def.type === "array");
  const [name, list] = lists[0] ?? [];
  const element = list && (definitionOf(list).element._zod.def as { shape?: Readonly<Record<string, Schema>> }).shape;
  if (name === undefined || lists.length > 1) return readObject(shape, parsed);
  if (Array.isArray(parsed)) return readObject(shape, { [name]: parsed });
  const isTask = element && isObject(parsed) && (isText(parsed.prompt) || isText(parsed.command)) && !(name in parsed);
  return readObject(shape, isTask ? { [name]: [parsed] } : parsed);
}

const WRAPPERS = /^(?:arguments?|args|input|parameters?|params)$/i;

/** { "arguments": { "tasks": [] } } */
function unwrapped(shape: Readonly<Record<string, Schema>>, given: unknown): unknown {
  const [[name, inner] = [], ...others] = isObject(given) ? Object.entries(given) : [];
  if (name === undefined || others.length > 0 || Object.hasOwn(shape, name) || !WRAPPERS.test(name)) return given;
  const value = typeof inner === "string" ? parseJson(inner) : inner;
  return isObject(value) || Array.isArray(value) ? value : given;
}

const isText = (given: unknown): boolean =>
  typeof given === "string" || (Array.isArray(given) && given.every((word) => typeof word === "string"));

const definitionOf = ({ _zod }: Schema): Definition => _zod.def as unknown as Definition;

/** What `schema` would be given by a model that wrote exactly what it means. @param name of the argument */
export function readArgument(schema: Schema, given: unknown, name = ""): unknown {
  const definition = definitionOf(schema);
  switch (definition.type) {
    case "optional":
    case "default": {
      const { innerType } = definition;
      return isLeftOut(innerType, given, name) ? undefined : readArgument(innerType, given, name);
    }
    case "string":
      return readText(schema, given, name);
    case "number":
      return readNumber(schema, given, name);
    case "boolean":
      return readBoolean(given);
    case "enum":
      return readWord(Object.values(definition.entries), only(given));
    case "array":
      return readList(definition.element, given, name);
    case "record":
      return readRecord(definition.valueType, given, name);
    case "object":
      return readObject(definition.shape, given);
    case "union": {
      const readings = definition.options.map((option) => [option, readArgument(option, given, name)] as const);
      return readings.find(([option, reading]) => accepts(option, reading))?.[1] ?? given;
    }
    default:
      return given;
  }
}

/** What is used as it stands, also each text of a list or an object: white space at its ends and quotes around it count. */
const EXACT_TEXTS = new Set([
  ...["command", "content", "input", "message", "new_string", "old_string", "prompt"],
  ...["artifacts", "files", "path", "paths", "protect", "workdir"], // names of files, and patterns of them
  "metrics", // texts of the output
]);
/** Texts that may be a number or a word such as true. */
const MAY_BE_VALUES = new Set([
  ...["content", "input", "new_string", "old_string"],
  ...["description", "gpu", "label", "process", "reason", "status"],
]);
/** Arguments for which "none" is a value. */
const HAS_NONE = new Set(["gpu", "variant"]);
const EVERY = /^(?:all(?: jobs)?|every|\*|\[\s*["']?(?:all|\*)["']?\s*\])$/i;
const NOTHING = /^(?:null|undefined|nil|none)$/i;

/** Whether an optional argument is written as models do that must give a value for every argument. */
function isLeftOut(schema: Schema, given: unknown, name: string): boolean {
  if (given === undefined || given === null || given === "") return true;
  const { type } = schema._zod.def;
  if (name === "input") return false; // a line end or a space is input
  if (typeof given === "string") {
    const text = given.trim();
    if (text === "" || /^(?:\[\s*\]|\{\s*\})$/.test(text)) return true;
    if (NOTHING.test(text)) return !(HAS_NONE.has(name) && text.toLowerCase() === "none");
  }
  if (type === "string") return (given === false && !HAS_NONE.has(name)) || isEmptyList(given);
  if (name === "jobs" && EVERY.test(String(given).trim())) return true; // those of the session
  if (type === "object" && isEmptyObject(given)) return true;
  if (type === "array" || type === "record") return isEmptyList(given) || isEmptyObject(given) || isNoList(given);
  const isZero = Number(typeof given === "string" ? given.trim() : given) === 0;
  return type !== "boolean" && isZero && !isEmptyObject(given) && !accepts(schema, 0);
}

/** 0 and false, in place of a list. */
const isNoList = (given: unknown): boolean => given === 0 || given === false || given === "0";
const isEmptyList = (given: unknown): boolean => Array.isArray(given) && given.every(isBlank);
const isEmptyObject = (given: unknown): boolean => isObject(given) && Object.keys(given).length === 0;

const accepts = (schema: Schema, value: unknown): boolean => (schema as z.ZodType).safeParse(value).success;

/** The element of a list that has one. */
const only = (given: unknown): unknown => (Array.isArray(given) && given.length === 1 ? given[0] : given);

/** Characters. A text whose schema allows no more than this is a label for people, and is shortened to what is allowed. */
const LABEL_LIMIT = 1_000;

/** A whole command as Markdown shows one. To a shell the fence would be a command within the command. */
const IN_FENCE = /^\s*```(?:bash|sh|shell|zsh)?[ \t]*\n((?:(?!```).)*)\n[ \t]*```\s*$/s;

function readText(schema: Schema, given: unknown, name: string): unknown {
  let text = only(given);
  if (name === "command" && Array.isArray(text) && text.every((word) => typeof word === "string"))
    return text.map(quote).join(" "); // program and arguments
  if (name === "command" && typeof text === "string") return IN_FENCE.exec(text)?.[1] ?? text;
  if (name === "content" && isObject(text)) return `${JSON.stringify(text, null, 2)}\n`;
  if (name === "gpu") text = readGpu(text);
  if ((typeof text === "number" || typeof text === "boolean") && MAY_BE_VALUES.has(name)) text = String(text);
  if (typeof text !== "string" || EXACT_TEXTS.has(name)) return text;
  const line = unquote(text.trim());
  const { maximum } = schema._zod.bag as { maximum?: number };
  return maximum !== undefined && maximum <= LABEL_LIMIT && line.length > maximum ? oneLine(line, maximum) : line;
}

/** "8xH100" and { "type": "H100", "count": 8 } as "H100:8". */
function readGpu(given: unknown): unknown {
  if (typeof given === "string") return given.trim().replace(/^(\d+)\s*[x*]\s*([a-z][\w!-]*)$/i, "$2:$1");
  if (!isObject(given)) return given;
  const { type, name = type, count, ...others } = given;
  const isKnown = typeof name === "string" && Object.keys(others).length === 0;
  return isKnown ? `${name}${count === undefined ? "" : `:${count}`}` : given;
}

/** The text of a JSON string. */
function unquote(text: string): string {
  const parsed = /^".*"$/s.test(text) ? parseJson(text) : undefined;
  return typeof parsed === "string" ? parsed : text;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };
const NUMBER = /^[$+]?(-?\d+(?:[_,]\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-z]*)\.?$/i;
const TIME = /^(?:(s)(?:ecs?|econds?)?|(m)(?:ins?|inutes?)?|(h)(?:rs?|ours?)?)$/i;

/** "30", " 30 ", "30 s", "5 min", "$2"; rounded where only whole numbers are allowed. */
function readNumber(schema: Schema, given: unknown, name: string): unknown {
  const value = only(given);
  const number = typeof value === "string" ? (toNumber(unquote(value.trim()), name) ?? value) : value;
  const isRounded = typeof number === "number" && !accepts(schema, number) && accepts(schema, Math.round(number));
  return isRounded ? Math.round(number) : number;
}

function toNumber(text: string, name: string): number | null {
  const parts = /_(?:seconds|minutes)$/.test(name) ? text.match(/\d+(?:\.\d+)?\s*[a-z]+/gi) : null;
  if (parts && parts.length > 1 && parts.join("") === text.replace(/\s*(?:and|,)?\s+(?=\d)/g, "")) {
    const numbers = parts.map((part) => toNumber(part, name)); // "1h30m"
    return numbers.reduce<number | null>((sum, one) => (sum === null || one === null ? null : sum + one), 0);
  }
  const [, digits, unit = ""] = NUMBER.exec(text) ?? [];
  if (digits === undefined) return null;
  const number = Number(digits.replace(/[_,]/g, ""));
  if (unit === "" || (/^usd$/i.test(unit) && name.endsWith("_usd"))) return number;
  const own = /_(seconds|minutes)$/.exec(name)?.[1];
  const [, ...letters] = TIME.exec(unit) ?? [];
  const seconds = UNIT_SECONDS[letters.find((one) => one !== undefined)?.toLowerCase() ?? ""];
  if (own === undefined || seconds === undefined) return null;
  return (number * seconds) / (own === "minutes" ? 60 : 1);
}

function readBoolean(given: unknown): unknown {
  const value = only(given);
  const word = String(value).trim().toLowerCase();
  if (["true", "yes", "on", "1"].includes(word)) return true;
  return ["false", "no", "off", "0"].includes(word) ? false : value;
}

/** One of some words in any case, or an unmistakable short or long form: "file" for "files", "term" for "SIGTERM", "minimize" for "min". */
function readWord(words: readonly (string | number)[], given: unknown): unknown {
  if (typeof given !== "string") return given;
  const text = unquote(given.trim()).toLowerCase().replace(/^\+/, "");
  const names = words.map(String);
  const exact = names.find((word) => [text, `sig${text}`].includes(word.toLowerCase()));
  const longer = text.length < 3 ? [] : names.filter((word) => word.toLowerCase().startsWith(text));
  const shorter = names.filter((word) => word.length >= 3 && text.startsWith(word.toLowerCase()));
  return exact ?? (longer.length === 1 ? longer[0] : shorter.length === 1 ? shorter[0] : given);
}

function readList(element: Schema, given: unknown, name: string): unknown {
  const isOfTexts = element._zod.def.type === "string";
  const isOfValues = element._zod.def.type === "union";
  let list = typeof given === "string" ? (isOfValues ? parseValues(given) : (parseJson(given) ?? given)) : given;
  if (typeof list === "string" && isOfTexts) list = splitList(list, name);
  if (typeof list === "string" && element._zod.def.type === "number") list = list.split(/[\s,;]+/); // "10, 20"
  if (isObject(list) && list[name] !== undefined) return readList(element, list[name], name); // { tasks: { tasks: [] } }
  if (isObject(list) && Object.keys(list).every((key) => /^\d+$/.test(key))) list = Object.values(list);
  list = withoutName(list, name);
  if (isOfValues) return toValues(list);
  if (!Array.isArray(list)) list = isObject(list) || typeof list === element._zod.def.type ? [list] : list;
  if (!Array.isArray(list)) return given;
  if (!isOfTexts) return list.map((one) => readArgument(element, isPrompt(one, element) ? { prompt: one } : one));
  return list.filter((one) => !isBlank(one)).map((one) => readArgument(element, toName(one), name));
}

/** { "item": [] } and { "task": {} }, as models write that know XML. Any other name may mean something: a range, an exception. */
function withoutName(list: unknown, name: string): unknown {
  const [[key, inner] = [], ...others] = isObject(list) ? Object.entries(list) : [];
  if (key === undefined || others.length > 0 || !namesElements(key, name)) return list;
  return Array.isArray(inner) || isObject(inner) ? inner : list;
}

/** A list or an object as JSON, and a number that is written as JSON writes it. Any other text is a value itself. */
function parseValues(text: string): unknown {
  const parsed = parseJson(text);
  return typeof parsed === "object" || String(parsed) === text ? (parsed ?? text) : text;
}

/** Values that are texts or numbers: one may be given without a list, and a word such as true is its text. */
function toValues(given: unknown): unknown {
  const isOne = ["number", "boolean"].includes(typeof given) || (typeof given === "string" && !/[,;\n]/.test(given));
  const list = isOne ? [given] : given;
  return Array.isArray(list) ? list.map((one) => (typeof one === "boolean" ? String(one) : one)) : list;
}

/** A task that is its prompt alone, unless it is JSON, whole or broken. */
function isPrompt(given: unknown, element: Schema): boolean {
  const { type, shape } = definitionOf(element);
  return typeof given === "string" && type === "object" && "prompt" in shape && /^\s*[^\s[{"`]/.test(given);
}

/** "job_1, job_2", "['a', 'b']". White space separates ids, as they contain none. */
function splitList(text: string, name: string): string[] {
  const bare = /^\[\s*'.*'\s*\]$/s.test(text.trim()) ? text.trim().slice(1, -1) : text;
  return bare.split(name === "jobs" ? /[\s,;]+/ : /[,\n]/).map((one) => one.trim().replace(/^(['"])(.*)\1$/, "$2"));
}

/** Some models pass what another tool answered: { "id": "job_1", … }. */
function toName(given: unknown): unknown {
  if (!isObject(given)) return given;
  return given.id ?? given.job ?? given.name ?? given.path ?? given;
}

function readRecord(value: Schema, given: unknown, name: string): unknown {
  let record = typeof given === "string" ? (parseJson(given) ?? given) : given;
  if (isObject(record) && isObject(record[name])) record = record[name];
  if (Array.isArray(record) || isPair(record)) record = fromPairs([record].flat());
  if (!isObject(record)) return given;
  return Object.fromEntries(Object.entries(record).map(([key, one]) => [key, readArgument(value, one, name)]));
}

function readObject(shape: Readonly<Record<string, Schema>>, given: unknown): unknown {
  const object = typeof given === "string" ? (parseJson(given) ?? given) : given;
  if (!isObject(object)) return given;
  const schemas = new Map(Object.entries(shape));
  const entries = renameKeys(object, [...schemas.keys()]).map(([key, value]): [string, unknown] => {
    const schema = schemas.get(key);
    return [key, schema ? readArgument(schema, value, key) : isBlank(value) ? undefined : value];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}
