import { z } from "zod";
import type { Instruction } from "../core/job.ts";
import type { Catalog } from "../core/ports.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { UnknownJobs } from "../jobs/session/find-jobs.ts";
import { renderForeign } from "../prompt/fork.ts";
import { FileError } from "../sandboxes/port.ts";
import { type ErrorCode, PluginError } from "../shared/error-code.ts";
import { oneLine, plainText } from "../shared/plain-text.ts";
import type { SerialQueues } from "../shared/serial-queues.ts";
import { describeUnknown } from "./argument-names.ts";
import { whyNoJson } from "./loose-json.ts";
import { requirePermission } from "./permission.ts";
import type { ProcessTable } from "./process-table.ts";
import { readArguments } from "./read-arguments.ts";
import type { Tool, ToolAnswer, ToolCall } from "./tool.ts";

export interface InstructionFiles {
  readonly files: readonly Instruction[];
  /** Names of those that are not given, and why: the rest of a sentence that begins with "it". */
  readonly left: readonly { readonly name: string; readonly why: string }[];
}

/** What every tool may use. */
export interface ToolDeps {
  /** Opens the runtime on first need. @throws PluginError `config_invalid` */
  runtime(): Promise<Runtime>;
  catalog(): Promise<Catalog>;
  readonly processes: ProcessTable;
  /** Changes of files in sandboxes, one at a time per job. */
  readonly fileChanges: SerialQueues;
  /** Paths and patterns of the files the host is configured to read as instructions, as the user wrote them. */
  instructions(): readonly string[];
  /** The instruction files that the host gives every agent here, for jobs. Never rejects: what cannot be given is named. */
  instructionFiles(): Promise<InstructionFiles>;
  /** Called before a call's jobs start. */
  onJobsStarting(): void;
}

/** A tool as its author writes it. */
export interface ToolSpec<Shape extends z.ZodRawShape, Args> {
  readonly name: string;
  readonly description: string;
  /** What the model is told. */
  readonly args: Shape;
  /** What is checked before `run`; by default exactly `args`, without further keys. */
  readonly parse?: z.ZodType<Args>;
  /**
   * Patterns for the user's permission of the tool's own name, required before `run`. Never given for tools of a job:
   * nobody answers there.
   */
  readonly asks?: (args: Args) => readonly string[];
  /** The output is the job's own files or programs, for the job itself, and is passed on unaltered. */
  readonly isVerbatim?: boolean;
  run(args: Args, call: ToolCall): Promise<ToolAnswer>;
}

/** Hosts neither check arguments nor apply their defaults, so both happen here. */
export function defineTool<Shape extends z.ZodRawShape, Args = z.output<z.ZodObject<Shape>>>(
  spec: ToolSpec<Shape, Args>,
): Tool {
  const { name, description, args, asks } = spec;
  const schema = spec.parse ?? (z.strictObject(args) as unknown as z.ZodType<Args>);
  return {
    name,
    description,
    args,
    async run(raw, call) {
      const parsed = schema.safeParse(readArguments(args, raw), { reportInput: true });
      if (!parsed.success) {
        const message = `${name} was called with bad arguments: ${describeIssues(parsed.error, Object.keys(args))}`;
        return toErrorAnswer("invalid_task", message, false);
      }
      try {
        if (asks) await requirePermission(call, name, asks(parsed.data));
        const answer = await spec.run(parsed.data, call);
        const output = spec.isVerbatim ? answer.output : plainText(answer.output);
        return { ...answer, title: oneLine(answer.title, 200), output };
      } catch (error) {
        if (error instanceof UnknownJobs) {
          const origin = await call.forkedFrom(error.missing).catch(() => null);
          return toErrorAnswer(error.code, origin ? renderForeign(error.missing, origin) : error.message, false);
        }
        if (error instanceof PluginError) return toErrorAnswer(error.code, error.message, error.retryable);
        if (error instanceof FileError) return toErrorAnswer(error.code, error.message, false);
        throw toPlainError(error);
      }
    },
  };
}

/**
 * Every issue with the path of its field: `tasks[0].prompt: expected a text, found 7`.
 * @param error of a parse with `reportInput`
 * @param known names of the arguments
 */
export function describeIssues(error: z.ZodError, known: readonly string[]): string {
  return error.issues
    .slice(0, 8)
    .map((issue) => {
      const field = issue.path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
      const what =
        issue.code === "unrecognized_keys"
          ? describeUnknown(issue.keys, known, issue.input)
          : toExpected(issue) + toFound(issue.input) + toBroken(issue);
      return field === "" ? what : `${field.replace(/^\./, "")}: ${what}`;
    })
    .join("; ");
}

const TYPES: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
};

/** What is allowed, in the words of whoever calls a tool where the schema has only its own. */
function toExpected(issue: z.core.$ZodIssue): string {
  const isOwn = issue.code === "invalid_type" && issue.message.startsWith("Invalid input: expected ");
  const type = isOwn ? TYPES[issue.expected] : undefined;
  if (type === undefined) return issue.message;
  return issue.input === undefined ? `expected ${type}, and there is none` : `expected ${type}`;
}

/** Characters of a refused value that are shown. */
const FOUND_LIMIT = 80;

function toFound(input: unknown): string {
  const json = input === undefined ? undefined : JSON.stringify(input);
  if (json === undefined) return "";
  return `, found ${json.length > FOUND_LIMIT ? `${json.slice(0, FOUND_LIMIT)}…` : json}`;
}

/** Why a text is not taken for the list or the object that it is to be. */
function toBroken({ code, input }: z.core.$ZodIssue): string {
  const why = code === "invalid_type" && typeof input === "string" ? whyNoJson(input) : null;
  return why === null
    ? ""
    : ` (a text that is not valid JSON: ${oneLine(why, 120)}; give the value itself, not as text)`;
}

/** A bug's message may quote a job too. An error whose message is plain already is passed on as it is. */
function toPlainError(error: unknown): unknown {
  if (!(error instanceof Error) || plainText(error.message) === error.message) return error;
  return new Error(oneLine(error.message, ERROR_LIMIT), { cause: error });
}

/** Characters. */
const ERROR_LIMIT = 4_000;

/** @param quoted lines shown below the message as they are */
export function toErrorAnswer(
  code: ErrorCode | FileError["code"],
  message: string,
  retryable: boolean | null,
  quoted = "",
): ToolAnswer {
  // A message may quote a job or a file's name, so it gets one line. Only problems with the options are a list.
  const shown = code === "config_invalid" ? plainText(message) : oneLine(message, ERROR_LIMIT);
  const output = `Error ${code}: ${shown}${quoted === "" ? "" : `\n${quoted}`}`;
  return { title: code, output, metadata: { error: { code, message: shown, retryable } } };
}
